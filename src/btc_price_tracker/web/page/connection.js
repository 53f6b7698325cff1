// A price stream that survives: restarts, error statuses, half-dead sockets, sleep.
//
// EventSource reconnects by itself and honours the server's `retry:`, so once it has got through it has the first try.
// It gives up for good after an error status, waits the same time for ever, and cannot see a socket that died in
// silence: there this module takes over, with a new EventSource that asks for what comes after the last id.
//
// Runs in a window or in a worker.

import { elapsed, moment } from "./elapsed.js";

const HEARTBEAT = 15; // seconds between the server's heartbeats at most, until it has said
const SLACK = 5_000; // ms by which a heartbeat may be late before the server counts as silent
const WATCH = 1_000; // ms between checks for silence
const NAP = 5_000; // ms: phones drop a hidden page's socket after as much, without notice
const FIRST_WAIT = 5_000; // ms at most before our first try: no sooner than the server's `retry:` spreads them
const LONGEST_WAIT = 30_000;
const JITTER = 0.6; // of each wait is random, so that clients that lost a server together do not return together

/** Milliseconds after which a stream is dead that should have a heartbeat every so many seconds. */
export const deadAfter = (heartbeat) => Math.max(40_000, 2_500 * heartbeat + 2_500);

/** Milliseconds to wait before try number `failures` (from 1): doubling, and jittered. */
export function backoff(failures, random = Math.random) {
  const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1));
  return longest * (1 - JITTER * random());
}

/**
 * Emits, in the stream's order:
 * `{type: "restart", lost}` before a replay from the beginning (`lost`: what was before is the server's no more),
 * `{type: "price", id, …}`, `{type: "status", status, reason}`, `{type: "sources", …}`, `{type: "gap"}`,
 * `{type: "heartbeat", timestamp}`, and of itself `{type: "link", state, wait, failures}` where state is `connecting`,
 * `live`, `silent` (open, but the heartbeat is overdue), `reconnecting`, `full` (at MAX_CLIENTS) or `waiting` (for
 * `wait` ms), and `failures` is how many tries have failed since the server was last heard.
 */
export class Connection {
  #emit;
  #root;
  #EventSource;
  #source = null;
  #since = null;
  #lastId = null;
  #gap = false; // the server could not go on right after the last id
  #empty = false; // the stream has opened and brought nothing yet
  #state = null;
  #failures = 0;
  #mayRetry = false; // the browser has got through since its last try, so it has another
  #heard = moment();
  #retry = 0;
  #watch = 0;

  /** Seconds between heartbeats, as the server is set. */
  heartbeat = HEARTBEAT;

  /** `root` is the URL below which the API is. */
  constructor(emit, root, EventSource = globalThis.EventSource) {
    this.#emit = emit;
    this.#root = root;
    this.#EventSource = EventSource;
  }

  /** The id of the newest price; null before the first. */
  get lastId() {
    return this.#lastId;
  }

  /** Opens at `since()` (seconds, asked at each try), or right after `lastId` where there is one. */
  start(since, lastId = null) {
    this.stop();
    this.#since = since;
    this.#lastId = lastId;
    this.#gap = false;
    this.#failures = 0;
    if (lastId === null) this.#emit({ type: "restart" });
    this.#watch = setInterval(() => this.#checkSilence(), WATCH);
    this.#connect("connecting");
  }

  stop() {
    this.#abandon();
    clearInterval(this.#watch);
    this.#state = null;
  }

  /** Tries now instead of later. Call it also when the page comes back after `away` ms, hidden, asleep or offline. */
  wake(away = 0) {
    const isWaiting = this.#source === null && this.#state === "waiting";
    const isDoubtful = this.#source !== null && away > NAP && elapsed(this.#heard) > NAP;
    if (isWaiting || isDoubtful) this.#connect("reconnecting");
  }

  #connect(state) {
    this.#abandon();
    this.#mayRetry = false;
    this.#heard = moment();
    this.#report(state);
    const source = new this.#EventSource(this.#url());
    source.onopen = () => this.#opened();
    source.onerror = () => this.#failed();
    source.onmessage = (event) => this.#price(event);
    source.addEventListener("gap", () => (this.#gap = true));
    for (const type of ["gap", "status", "sources", "heartbeat"]) {
      source.addEventListener(type, (event) => this.#hear({ ...JSON.parse(event.data), type }));
    }
    this.#source = source;
  }

  #url() {
    const position = this.#lastId === null ? { since: this.#since() } : { last_event_id: this.#lastId };
    return new URL(`prices/stream?${new URLSearchParams({ with: "sources", ...position })}`, this.#root).href;
  }

  #opened() {
    this.#mayRetry = true;
    this.#empty = true;
  }

  /** Ids never go back, unless the server lost its history and its clock was set back: then all begins anew. */
  #price(event) {
    const id = Number(event.lastEventId);
    if (this.#lastId !== null && id <= this.#lastId) {
      if (!this.#gap) return;
      this.#emit({ type: "restart", lost: true });
    }
    this.#gap = false;
    this.#lastId = id;
    this.#hear({ ...JSON.parse(event.data), type: "price", id });
  }

  #hear(event) {
    this.#heard = moment();
    this.#mayRetry = true;
    this.#empty = false;
    this.#failures = 0;
    this.#report("live");
    this.#emit(event);
  }

  #failed() {
    const browserGaveUp = this.#source.readyState === this.#EventSource.CLOSED;
    if (browserGaveUp || !this.#mayRetry) this.#retryLater();
    else this.#report(this.#empty ? "full" : "reconnecting");
    this.#mayRetry = this.#empty = false;
  }

  #retryLater() {
    this.#abandon();
    this.#failures += 1;
    const wait = backoff(this.#failures);
    this.#retry = setTimeout(() => this.#connect("reconnecting"), wait);
    this.#report("waiting", wait);
  }

  #checkSilence() {
    if (this.#source === null) return;
    const silence = elapsed(this.#heard);
    if (silence > deadAfter(this.heartbeat)) this.#retryLater();
    else if (this.#state === "live" && silence > 1_000 * this.heartbeat + SLACK) this.#report("silent");
  }

  #abandon() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #report(state, wait = 0) {
    if (state === this.#state && state !== "waiting" && state !== "full") return;
    this.#state = state;
    this.#emit({ type: "link", state, wait, failures: this.#failures });
  }
}
