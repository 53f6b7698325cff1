// One stream per browser, however many tabs: browsers allow six connections to a server over HTTP/1.1.
//
// The tab that holds the Web Lock leads: it has the stream and passes every event on over a BroadcastChannel.
// The others follow; each remembers the last id, so whoever leads next goes on without a hole. A visible tab takes
// the lead from a hidden or silent one, because browsers slow hidden tabs down and freeze them.
// Without these APIs (they need HTTPS or localhost) every tab has a stream of its own.

import { Connection } from "./connection.js";

const NAME = "btc-price-tracker";
const PATIENCE = 1_000; // ms for the leader to answer
const SILENCE = 45_000; // ms: longer than the leader's own watchdog
const WATCH = 10_000;

const shareable = () => "locks" in navigator && "BroadcastChannel" in globalThis;

/** Emits the events of Connection. `recall()` returns those that bring a new tab to the present. */
export class SharedStream {
  #emit;
  #recall;
  #connection;
  #channel = null;
  #tab = crypto.randomUUID?.() ?? String(Math.random());
  #since = 0;
  #lastId = null;
  #release = null; // set while this tab leads
  #queue = null; // aborts our place in the queue for the lock
  #unanswered = 0;
  #watch = 0;
  #heard = 0;

  constructor(emit, recall) {
    this.#emit = emit;
    this.#recall = recall;
    this.#connection = new Connection((event) => this.#lead(event));
  }

  /** Opens at `since` (seconds), or goes on where this tab was when it stopped. */
  start(since) {
    this.#since = since;
    if (!shareable()) {
      this.#connection.start(since, this.#lastId);
      return;
    }
    this.#channel = new BroadcastChannel(NAME);
    this.#channel.onmessage = ({ data }) => this.#listen(data);
    this.#stand();
    this.#greet();
    this.#watch = setInterval(() => this.#checkSilence(), WATCH);
  }

  /** Asks for history back to `since`. */
  widen(since) {
    if (since >= this.#since) return;
    this.#since = since;
    if (this.#channel === null || this.#release) this.#connection.start(since);
    else this.#greet();
  }

  wake() {
    if (this.#channel === null || this.#release) this.#connection.wake();
    else this.#greet();
  }

  stop() {
    clearInterval(this.#watch);
    clearTimeout(this.#unanswered);
    this.#connection.stop();
    this.#channel?.close();
    this.#channel = null;
    this.#queue?.abort();
    this.#release?.();
    this.#release = null;
  }

  #stand() {
    this.#queue = new AbortController();
    this.#hold({ signal: this.#queue.signal });
  }

  #take() {
    if (this.#release || this.#channel === null) return;
    this.#queue.abort();
    this.#hold({ steal: true });
  }

  async #hold(options) {
    try {
      await navigator.locks.request(NAME, options, () => this.#begin());
    } catch (error) {
      if (error.name !== "AbortError") throw error;
      if (this.#release) this.#stepBack();
    }
  }

  #begin() {
    clearTimeout(this.#unanswered);
    if (this.#channel === null) return undefined;
    const held = new Promise((release) => (this.#release = release));
    this.#connection.start(this.#since, this.#lastId);
    return held;
  }

  #stepBack() {
    this.#release = null;
    this.#connection.stop();
    this.#stand();
  }

  #lead(event) {
    this.#follow(event);
    this.#channel?.postMessage({ event });
  }

  #follow(event) {
    if (event.type === "restart") this.#lastId = null;
    if (event.type === "price") this.#lastId = event.id;
    this.#heard = Date.now();
    this.#emit(event);
  }

  #listen({ event, hello, here }) {
    if (hello && this.#release) this.#answer(hello);
    else if (here?.tab === this.#tab) this.#meet(here);
    else if (event && !this.#release) this.#follow(event);
  }

  #greet() {
    this.#channel.postMessage({ hello: { tab: this.#tab, since: this.#since, lastId: this.#lastId } });
    clearTimeout(this.#unanswered);
    this.#unanswered = setTimeout(() => document.hidden || this.#take(), PATIENCE);
  }

  #answer({ tab, since, lastId }) {
    const events = lastId === this.#lastId ? [] : this.#recall();
    this.#channel.postMessage({ here: { tab, hidden: document.hidden, events } });
    this.widen(since);
  }

  #meet({ hidden, events }) {
    clearTimeout(this.#unanswered);
    events.forEach((event) => this.#follow(event));
    if (hidden && !document.hidden) this.#take();
  }

  #checkSilence() {
    if (!this.#release && !document.hidden && Date.now() - this.#heard > SILENCE) this.#greet();
  }
}
