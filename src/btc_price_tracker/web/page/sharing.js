// One stream per browser, however many tabs: browsers allow six connections to a server over HTTP/1.1.
//
// The tab that holds the Web Lock leads: it has the stream and passes every event on over a BroadcastChannel.
// The others follow; each remembers the last id, so whoever leads next goes on without a hole. A visible tab takes
// the lead from a hidden or silent one, because browsers slow hidden tabs down and freeze them.
// Without these APIs (they need HTTPS or localhost) every tab has a stream of its own.

import { Connection, silence } from "./connection.js";

const NAME = "btc-price-tracker/2"; // a tab of an older page would not understand the messages
const PATIENCE = 1_000; // ms for the leader to answer
const GRACE = 5_000; // ms of silence for the leader's own watchdog to act upon
const WATCH = 10_000;

const shareable = () => "locks" in navigator && "BroadcastChannel" in globalThis;

/** Emits the events of Connection. `recall()` returns those that bring a new tab to the present. */
export class SharedStream {
  #emit;
  #recall;
  #clock;
  #connection;
  #channel = null;
  #tab = crypto.randomUUID?.() ?? String(Math.random());
  #span = 0;
  #lastId = null;
  #release = null; // set while this tab leads
  #queue = null; // aborts our place in the queue for the lock
  #unanswered = 0;
  #watch = 0;
  #heard = 0;

  constructor(emit, recall, clock) {
    this.#emit = emit;
    this.#recall = recall;
    this.#clock = clock;
    this.#connection = new Connection((event) => this.#lead(event));
  }

  /** Opens with the past `span` seconds, or goes on where this tab was when it stopped. */
  start(span) {
    this.#span = span;
    if (!shareable()) {
      this.#connect(this.#lastId);
      return;
    }
    this.#channel = new BroadcastChannel(NAME);
    this.#channel.onmessage = ({ data }) => this.#listen(data);
    this.#stand();
    this.#greet();
    this.#watch = setInterval(() => this.#checkSilence(), WATCH);
  }

  /** Asks for the past `span` seconds. */
  widen(span) {
    if (span <= this.#span) return;
    this.#span = span;
    this.again();
  }

  /** Asks for all of it once more. */
  again() {
    if (this.leads) this.#connect();
    else this.#greet();
  }

  wake(away) {
    if (this.leads) this.#connection.wake(away);
    else this.#greet();
  }

  /** Whether the stream is this tab's own. */
  get leads() {
    return this.#channel === null || this.#release !== null;
  }

  /** Tells every tab, this one too, an event that is not of the stream. */
  share(event) {
    this.#lead(event);
  }

  /** Seconds between heartbeats, as the server is set. */
  set heartbeat(seconds) {
    this.#connection.heartbeat = seconds;
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
    this.#connect(this.#lastId);
    return held;
  }

  #connect(lastId = null) {
    this.#connection.start(() => Math.floor(this.#clock.now() / 1000) - this.#span, lastId);
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
    this.#channel.postMessage({ hello: { tab: this.#tab, span: this.#span, lastId: this.#lastId } });
    clearTimeout(this.#unanswered);
    this.#unanswered = setTimeout(() => document.hidden || this.#take(), PATIENCE);
  }

  #answer({ tab, span, lastId }) {
    const events = lastId === this.#lastId ? [] : this.#recall();
    this.#channel.postMessage({ here: { tab, hidden: document.hidden, events } });
    this.widen(span);
  }

  #meet({ hidden, events }) {
    clearTimeout(this.#unanswered);
    events.forEach((event) => this.#follow(event));
    if (hidden && !document.hidden) this.#take();
  }

  #checkSilence() {
    const limit = silence(this.#connection.heartbeat) + GRACE;
    if (!this.#release && !document.hidden && Date.now() - this.#heard > limit) this.#greet();
  }
}
