// A price stream that survives: restarts, error statuses, half-dead sockets, sleep.
//
// EventSource reconnects by itself and honours the server's `retry:`, so it has the first try. It gives up for good
// after an error status, waits the same time for ever, and cannot see a socket that died in silence: there this
// module takes over, with a new EventSource that asks for what comes after the last id.

import { endpoint } from "./endpoint.js";

const SILENCE = 40_000; // ms: 2.5 × the server's heartbeat, and a little
const WATCH = 5_000; // ms between looks at the silence
const NAP = 5_000; // ms: phones drop a hidden page's socket after as much, without a word
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;

/** Milliseconds to wait before try number `failures` (from 1): doubling, half of it jitter. */
export function backoff(failures, random = Math.random) {
  const ceiling = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1));
  return ceiling * (0.5 + random() / 2);
}

/**
 * Emits, in the stream's order:
 * `{type: "restart"}` before a replay from the beginning, `{type: "price", id, …}`, `{type: "status", status, reason}`,
 * `{type: "gap"}`, `{type: "heartbeat"}`, and of itself `{type: "link", state, until}` where state is
 * `connecting`, `live`, `reconnecting` or `waiting` (`until` in ms since the epoch).
 */
export class Connection {
  #emit;
  #EventSource;
  #source = null;
  #since = null;
  #lastId = null;
  #state = null;
  #failures = 0; // our own tries since something was last heard
  #strikes = 0; // the browser's tries since it last got through
  #heard = 0;
  #retry = 0;
  #watch = 0;

  constructor(emit, { EventSource = globalThis.EventSource } = {}) {
    this.#emit = emit;
    this.#EventSource = EventSource;
  }

  /** Opens at `since()` (seconds, asked at each try), or right after `lastId` where there is one. */
  start(since, lastId = null) {
    this.stop();
    this.#since = since;
    this.#lastId = lastId;
    this.#failures = 0;
    if (lastId === null) this.#emit({ type: "restart" });
    this.#watch = setInterval(() => this.#checkSilence(SILENCE), WATCH);
    this.#connect("connecting");
  }

  stop() {
    this.#abandon();
    clearInterval(this.#watch);
    this.#state = null;
  }

  /** Call when the page comes back from sleep, hiding or offline. */
  wake() {
    if (this.#source === null && this.#state === "waiting") this.#connect("reconnecting");
    else this.#checkSilence(NAP);
  }

  #connect(state) {
    this.#abandon();
    this.#strikes = 0;
    this.#heard = Date.now();
    this.#report(state);
    const position = this.#lastId === null ? { since: this.#since() } : { last_event_id: this.#lastId };
    const source = new this.#EventSource(endpoint("/prices/stream", position));
    source.onopen = () => (this.#strikes = 0);
    source.onerror = () => this.#failed();
    source.onmessage = (event) => this.#price(event);
    source.addEventListener("gap", (event) => this.#gap(JSON.parse(event.data)));
    for (const type of ["status", "heartbeat"]) {
      source.addEventListener(type, (event) => this.#hear({ ...JSON.parse(event.data), type }));
    }
    this.#source = source;
  }

  #price(event) {
    const id = Number(event.lastEventId);
    if (this.#lastId !== null && id <= this.#lastId) return;
    this.#lastId = id;
    this.#hear({ ...JSON.parse(event.data), type: "price", id });
  }

  /** Ids never go back, unless the server lost its history and its clock was set back: then all begins anew. */
  #gap(gap) {
    if (this.#lastId !== null && gap.to < this.#lastId) {
      this.#lastId = null;
      this.#emit({ type: "restart" });
    }
    this.#hear({ ...gap, type: "gap" });
  }

  #hear(event) {
    this.#heard = Date.now();
    this.#failures = 0;
    this.#report("live");
    this.#emit(event);
  }

  #failed() {
    this.#strikes += 1;
    const browserGaveUp = this.#source.readyState === this.#EventSource.CLOSED;
    if (browserGaveUp || this.#strikes > 1) this.#retryLater();
    else this.#report("reconnecting");
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
    if (state === this.#state && state !== "waiting") return;
    this.#state = state;
    this.#emit({ type: "link", state, until });
  }
}
