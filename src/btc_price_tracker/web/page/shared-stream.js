// What a browser knows of the prices: one stream, its history, and the newest of everything, passed on to every tab.
//
// Runs in a SharedWorker, for all tabs of the browser, or in the page itself, for one tab. Each tab speaks to it through
// a MessagePort, in either case.

import { ServerClock } from "./clock.js";
import { Connection } from "./connection.js";
import { elapsed, moment } from "./elapsed.js";
import { Series } from "./series.js";

const FRESH = 30_000; // ms: a price this young is live, no more replay
const QUIET = 3_000; // ms without a price: a replay of old prices has ended
const AHEAD = 10_000; // ms: an hour's history that begins so much too late shows it
const DEADLINE = 5_000; // ms for the response to a request
const ALIVE = 10_000; // ms between signs of life to the tabs

/**
 * Takes from tabs `{type: "join", span}` (seconds of history), `{type: "widen", span}`, `{type: "wake", away}` and
 * `{type: "leave"}`. Gives them `{type: "clock", now}`, `{type: "history", points}` in place of all points that they
 * have, `{type: "points", points}` that follow those, `{type: "price", …}` to be shown, and `status`, `sources` and
 * `link` as Connection emits them. `elapsed` are the ms since an event arrived here; `behind`, those by which it was old
 * by then.
 */
export class SharedStream {
  #root;
  #ports = new Set();
  #clock = new ServerClock();
  #connection;
  #span = 0;
  #series = new Series();
  #replay = null; // what takes its place once it has reached the present
  #unsent = []; // the points that the tabs do not have yet
  #newest = null; // the newest price of the stream, even of a replay
  #present = Infinity; // the id at which a replay has arrived, if that is known
  #settling = 0; // the timer that ends a replay
  #isHasty = false; // whether it does so at once
  #last = new Map(); // by type: the newest event for the tabs, and when it arrived
  #alive = 0;

  /** `root` is the URL below which the API is. */
  constructor(root) {
    this.#root = root;
    this.#connection = new Connection((event) => this.#receive(event), root);
  }

  /** Serves a tab. */
  attach(port) {
    const on = {
      join: ({ span }) => this.#join(port, span),
      widen: ({ span }) => this.#widen(span),
      wake: ({ away }) => this.#connection.wake(away),
      leave: () => this.#leave(port),
    };
    port.onmessage = ({ data }) => on[data.type](data);
  }

  #join(port, span) {
    this.#ports.add(port);
    port.postMessage(this.#snapshot());
    if (this.#ports.size === 1) this.#start(span);
    else this.#widen(span);
  }

  #leave(port) {
    this.#ports.delete(port);
    if (this.#ports.size) return;
    clearInterval(this.#alive);
    clearTimeout(this.#settling);
    this.#isHasty = false;
    this.#connection.stop();
  }

  #start(span) {
    const isEnough = span <= this.#span && this.#replay === null;
    this.#span = Math.max(span, this.#span);
    this.#alive = setInterval(() => this.#tell({ type: "alive" }), ALIVE);
    this.#connect(isEnough ? this.#connection.lastId : null);
  }

  #widen(span) {
    if (span <= this.#span) return;
    this.#span = span;
    this.#connect();
  }

  #connect(lastId = null) {
    this.#connection.start(() => Math.floor(this.#clock.now() / 1000) - this.#span, lastId);
  }

  /** The events that bring a tab to the present. */
  #snapshot() {
    const events = [...this.#last.values()].map(({ event, at }) => ({ ...event, elapsed: elapsed(at) }));
    return [this.#time(), { type: "history", points: this.#series.points }, ...events];
  }

  #time() {
    return { type: "clock", now: this.#clock.now() };
  }

  #tell(...events) {
    for (const port of this.#ports) port.postMessage(events);
  }

  /** Tells the tabs the newest event of its type. */
  #update(event) {
    this.#last.set(event.type, { event, at: moment() });
    this.#tell(event);
  }

  #receive(event) {
    const on = {
      restart: () => this.#restart(event),
      gap: () => (this.#replay ?? this.#series).gap(),
      heartbeat: () => this.#clock.reach(event.timestamp * 1000),
      price: () => this.#append(event),
      status: () => this.#update(event),
      sources: () => this.#learn(event),
      link: () => this.#relink(event),
    };
    on[event.type]();
  }

  #restart({ lost }) {
    this.#replay = new Series();
    if (!lost) return;
    this.#last.delete("price");
    this.#present = Infinity;
  }

  #relink(event) {
    this.#update(event);
    const isTry = event.state === "connecting" || event.state === "reconnecting";
    if (event.state === "connecting" || event.state === "full" || (isTry && !this.#clock.known)) this.#askLatest();
  }

  #learn(event) {
    this.#connection.heartbeat = event.heartbeat ?? this.#connection.heartbeat;
    this.#update({ ...event, behind: this.#behind(event.timestamp * 1000) });
  }

  #append(event) {
    const series = this.#replay ?? this.#series;
    if (!series.append(event)) return;
    if (!this.#replay) this.#unsent.push(series.last);
    const behind = this.#behind(event.id);
    this.#newest = aged(event, behind);
    const isLive = event.id >= this.#present || behind < FRESH;
    if (isLive && this.#isHasty) return;
    this.#isHasty = isLive;
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle(), isLive ? 0 : QUIET);
  }

  /** Milliseconds by which what the server said at `time` is old on arrival. */
  #behind(time) {
    this.#clock.reach(time);
    return this.#clock.ago(time);
  }

  /** The stream has reached the present: tells the tabs. */
  #settle() {
    this.#isHasty = false;
    if (this.#replay) {
      this.#series = this.#replay;
      this.#replay = null;
      this.#tell(this.#time(), { type: "history", points: this.#series.points });
    } else this.#tell(this.#time(), { type: "points", points: this.#unsent });
    this.#unsent = [];
    if (!(this.#last.get("price")?.event.id >= this.#newest.id)) this.#update(this.#newest);
  }

  /** The newest price by itself, which the stream brings late after a long replay, or not at all. */
  async #askLatest() {
    const price = await this.#latest().catch(() => null); // the stream goes on trying
    if (!price || this.#last.get("price")?.event.id > price.id) return;
    this.#present = price.id;
    this.#update(aged({ ...price, type: "price" }, this.#behind(price.id)));
  }

  /** Raises TypeError or DOMException where the server does not answer. */
  async #latest() {
    const options = { cache: "no-store", signal: AbortSignal.timeout(DEADLINE) };
    const response = await fetch(new URL("prices/latest", this.#root), options);
    const before = this.#clock.now();
    this.#clock.learn(response.headers);
    this.#tell(this.#time());
    if (before - this.#clock.now() > AHEAD) this.#connect(); // what it asked for may lie in the server's future
    return response.ok ? response.json() : null;
  }
}

/** A price as of its arrival: the age that it came with may be that of its publication, or of now. */
const aged = (price, behind) => ({ ...price, behind, age: Math.max(price.age ?? 0, behind / 1000) });
