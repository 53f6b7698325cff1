// A price stream that survives restarts, error statuses, half-open sockets and sleep.
//
// EventSource reconnects by itself and honours the server's `retry:`, so after a successful connection it may retry
// first. But it stops for good after an error status, always waits the same time, and cannot detect a half-open socket:
// then this module takes over, with a new EventSource that requests what follows the last id.
//
// Runs in a window or in a worker.

import { addressOf } from "./api.js";
import { elapsed, moment } from "./elapsed.js";

const HEARTBEAT = 15; // longest time in seconds between heartbeats, until the server has sent its own
const SLACK = 5_000; // ms by which a heartbeat may be late before the server counts as silent
const WATCH = 1_000; // ms between checks for silence
const NAP = 5_000; // ms after which phones drop the socket of a hidden page without notice
const FIRST_WAIT = 5_000; // longest time in ms before the first attempt: as the server's `retry:` spreads them
const LONGEST_WAIT = 30_000;
const JITTER = 0.6; // share of each wait that is random, so that clients of the same server do not reconnect at once

/** Milliseconds of silence after which a stream with a heartbeat every so many seconds is considered dead. */
export const deadAfter = (heartbeat) => Math.max(40_000, 2_500 * heartbeat + 2_500);

/** Milliseconds to wait before attempt number `failures` (from 1): doubling, with jitter. */
export function backoff(failures, random = Math.random) {
  const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1));
  return longest * (1 - JITTER * random());
}

/**
 * Emits, in the stream's order:
 * `{type: "restart", lost}` before a replay from the beginning (`lost`: the server no longer has what was before),
 * `{type: "price", id, …}`, `{type: "status", status, reason}`, `{type: "sources", …}`, `{type: "gap"}`,
 * `{type: "heartbeat", timestamp}`, and of its own `{type: "link", state, wait, rejected, failures}` where state is
 * `connecting`, `live`, `silent` (open, but the heartbeat is overdue), `reconnecting`, `full` (at MAX_CLIENTS),
 * `waiting` (for `wait` ms) or `refused` (see `refuse`), `rejected` is there where the server may have answered with an
 * error status, and `failures` is the number of failed attempts since the last event.
 */
export class Connection {
  #emit;
  #root;
  #EventSource;
  #source = null;
  #since = null;
  #lastId = null;
  #gap = false; // the server could not resume right after the last id
  #empty = false; // the stream is open and has delivered nothing yet
  #state = null;
  #failures = 0;
  #mayRetry = false; // the browser has connected since its last attempt, so it gets another
  #lastEvent = moment();
  #retry = 0;
  #watch = 0;

  /** Seconds between heartbeats, as configured on the server. */
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

  /** Opens at `since()` (seconds, called for each attempt), or right after `lastId` if there is one. */
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
    this.#closeSource();
    clearInterval(this.#watch);
    this.#state = null;
  }

  /** Stops, since the server wants another access token. */
  refuse() {
    this.stop();
    this.#report("refused");
  }

  /** Reconnects now instead of later. Also called when the page returns after `away` ms hidden, asleep or offline. */
  wake(away = 0) {
    const isWaiting = this.#source === null && this.#state === "waiting";
    const isDoubtful = this.#source !== null && away > NAP && elapsed(this.#lastEvent) > NAP;
    if (isWaiting || isDoubtful) this.#connect("reconnecting");
  }

  #connect(state) {
    this.#closeSource();
    this.#mayRetry = false;
    this.#lastEvent = moment();
    this.#report(state);
    const source = new this.#EventSource(this.#url());
    source.onopen = () => this.#opened();
    source.onerror = () => this.#failed();
    source.onmessage = (event) => this.#price(event);
    source.addEventListener("gap", () => (this.#gap = true));
    for (const type of ["gap", "status", "sources", "heartbeat"]) {
      source.addEventListener(type, (event) => this.#deliver({ ...JSON.parse(event.data), type }));
    }
    this.#source = source;
  }

  #url() {
    const position = this.#lastId === null ? { since: this.#since() } : { last_event_id: this.#lastId };
    return addressOf(this.#root, `prices/stream?${new URLSearchParams({ with: "sources", ...position })}`);
  }

  #opened() {
    this.#mayRetry = true;
    this.#empty = true;
  }

  /** Ids never decrease, unless the server lost its history and its clock was set back: then everything restarts. */
  #price(event) {
    const id = Number(event.lastEventId);
    if (this.#lastId !== null && id <= this.#lastId) {
      if (!this.#gap) return;
      this.#emit({ type: "restart", lost: true });
    }
    this.#gap = false;
    this.#lastId = id;
    this.#deliver({ ...JSON.parse(event.data), type: "price", id });
  }

  #deliver(event) {
    this.#lastEvent = moment();
    this.#mayRetry = true;
    this.#empty = false;
    this.#failures = 0;
    this.#report("live");
    this.#emit(event);
  }

  #failed() {
    const browserGaveUp = this.#source.readyState === this.#EventSource.CLOSED;
    if (browserGaveUp || !this.#mayRetry) this.#retryLater(browserGaveUp);
    else this.#report(this.#empty ? "full" : "reconnecting");
    this.#mayRetry = this.#empty = false;
  }

  #retryLater(rejected = false) {
    this.#closeSource();
    this.#failures += 1;
    const wait = backoff(this.#failures);
    this.#retry = setTimeout(() => this.#connect("reconnecting"), wait);
    this.#report("waiting", wait, rejected);
  }

  #checkSilence() {
    if (this.#source === null) return;
    const silence = elapsed(this.#lastEvent);
    if (silence > deadAfter(this.heartbeat)) this.#retryLater();
    else if (this.#state === "live" && silence > 1_000 * this.heartbeat + SLACK) this.#report("silent");
  }

  #closeSource() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #report(state, wait = 0, rejected = false) {
    if (state === this.#state && state !== "waiting" && state !== "full") return;
    this.#state = state;
    this.#emit({ type: "link", state, wait, ...(rejected && { rejected }), failures: this.#failures });
  }
}
