// A price stream that survives: restarts, error statuses, half-dead sockets, sleep.
//
// EventSource reconnects by itself and honours the server's `retry:`, so it has the first try. It gives up for good
// after an error status, waits the same time for ever, and cannot see a socket that died in silence: there this
// module takes over, with a new EventSource that asks for what comes after the last id.

const HEARTBEAT = 15; // seconds between the server's heartbeats at most, until it has said
const WATCH = 5_000; // ms between looks at the silence
const NAP = 5_000; // ms: phones drop a hidden page's socket after as much, without a word
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;

/** Milliseconds after which a stream is dead that should have a heartbeat every so many seconds. */
export const silence = (heartbeat) => Math.max(40_000, 2_500 * heartbeat + 2_500);

/** Milliseconds to wait before try number `failures` (from 1): doubling, half of it jitter. */
export function backoff(failures, random = Math.random) {
  const ceiling = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1));
  return ceiling * (0.5 + random() / 2);
}

/**
 * Emits, in the stream's order:
 * `{type: "restart", lost}` before a replay from the beginning (`lost`: what was before is the server's no more),
 * `{type: "price", id, …}`, `{type: "status", status, reason}`, `{type: "gap"}`, `{type: "heartbeat"}`, and of itself
 * `{type: "link", state, until}` where state is `connecting`, `live`, `reconnecting`, `full` (every place on the server
 * is taken) or `waiting` (`until` in ms since the epoch).
 */
export class Connection {
  #emit;
  #EventSource;
  #source = null;
  #since = null;
  #lastId = null;
  #gap = false; // the server could not go on right after the last id
  #empty = false; // the stream has opened and said nothing yet
  #state = null;
  #failures = 0; // our own tries since something was last heard
  #strikes = 0; // the browser's tries since it last got through
  #heard = 0;
  #retry = 0;
  #watch = 0;

  /** Seconds between heartbeats, as the server is set. */
  heartbeat = HEARTBEAT;

  constructor(emit, { EventSource = globalThis.EventSource } = {}) {
    this.#emit = emit;
    this.#EventSource = EventSource;
  }

  /** Opens at `since()` (seconds, asked at each try), or right after `lastId` where there is one. */
  start(since, lastId = null) {
    this.stop();
    this.#since = since;
    this.#lastId = lastId;
    this.#gap = false;
    this.#failures = 0;
    if (lastId === null) this.#emit({ type: "restart" });
    this.#watch = setInterval(() => this.#checkSilence(silence(this.heartbeat)), WATCH);
    this.#connect("connecting");
  }

  stop() {
    this.#abandon();
    clearInterval(this.#watch);
    this.#state = null;
  }

  /** Tries now instead of later. Call it also when the page comes back after `away` ms, hidden, asleep or offline. */
  wake(away = 0) {
    if (this.#source === null && this.#state === "waiting") this.#connect("reconnecting");
    else if (away > NAP) this.#checkSilence(NAP);
  }

  #connect(state) {
    this.#abandon();
    this.#strikes = 0;
    this.#heard = Date.now();
    this.#report(state);
    const position = this.#lastId === null ? { since: this.#since() } : { last_event_id: this.#lastId };
    const source = new this.#EventSource(`prices/stream?${new URLSearchParams(position)}`);
    source.onopen = () => this.#opened();
    source.onerror = () => this.#failed();
    source.onmessage = (event) => this.#price(event);
    source.addEventListener("gap", () => (this.#gap = true));
    for (const type of ["gap", "status", "heartbeat"]) {
      source.addEventListener(type, (event) => this.#hear({ ...JSON.parse(event.data), type }));
    }
    this.#source = source;
  }

  #opened() {
    this.#strikes = 0;
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
    this.#heard = Date.now();
    this.#empty = false;
    this.#failures = 0;
    this.#report("live");
    this.#emit(event);
  }

  #failed() {
    this.#strikes += 1;
    const browserGaveUp = this.#source.readyState === this.#EventSource.CLOSED;
    if (browserGaveUp || this.#strikes > 1) this.#retryLater();
    else this.#report(this.#empty ? "full" : "reconnecting");
    this.#empty = false;
  }

  #retryLater() {
    this.#abandon();
    this.#failures += 1;
    const wait = backoff(this.#failures);
    this.#retry = setTimeout(() => this.#connect("reconnecting"), wait);
    this.#report("waiting", Date.now() + wait);
  }

  #checkSilence(limit) {
    if (this.#source !== null && Date.now() - this.#heard > limit) this.#retryLater();
  }

  #abandon() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #report(state, until = null) {
    if (state === this.#state && state !== "waiting" && state !== "full") return;
    this.#state = state;
    this.#emit({ type: "link", state, until });
  }
}
