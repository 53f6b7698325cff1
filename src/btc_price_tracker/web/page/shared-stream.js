// The state that the tabs of a browser share: one stream, its history, and the newest event of each type.
//
// Runs in a SharedWorker, for all tabs of the browser, or in the page itself, for one tab. Each tab talks to it through
// a MessagePort, in either case.

import { isRefusal, request } from "./api.js";
import { ServerClock } from "./clock.js";
import { Connection } from "./connection.js";
import { elapsed, moment } from "./elapsed.js";
import { completeHours, completeUntil } from "./hours.js";
import { Series } from "./series.js";

const FRESH = 30_000; // ms: a price this young is live, no more replay
const QUIET = 3_000; // ms without a price: a replay of old prices has ended
const AHEAD = 10_000; // ms by which a wrong clock would visibly cut an hour's history
const DEADLINE = 5_000; // ms for the response to a request
const SHORT = 3_600; // seconds of history that come with the stream alone
const ALIVE = 10_000; // ms between `alive` messages to the tabs

/**
 * Receives from tabs `{type: "join", span}` (seconds of history), `{type: "widen", span}`, `{type: "wake", away}` and
 * `{type: "leave"}`. Sends them `{type: "clock", now}`, `{type: "history", points}` in place of all their points, `{type: "points", points}` that follow those, `{type: "price", …}` to be shown, and `status`, `sources` and
 * `link` as Connection emits them. `elapsed` are the ms since an event arrived here; `behind`, its age in ms
 * by then.
 */
export class SharedStream {
  #root;
  #ports = new Set();
  #clock = new ServerClock();
  #connection;
  #span = 0;
  #series = new Series();
  #replay = null; // replaces #series once it has reached the present
  #unsent = []; // the points that the tabs do not have yet
  #newest = null; // the newest price of the stream, even of a replay
  #present = Infinity; // the id at which a replay is complete, if known
  #settling = 0; // the timer that ends a replay
  #settlesNow = false; // whether it does so at once
  #last = new Map(); // by type: the newest event for the tabs, and when it arrived
  #alive = 0;
  #filling = null; // identifies the request for the hours before those that the stream replays

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
    this.#settlesNow = false;
    this.#filling = null;
    this.#connection.stop();
  }

  #start(span) {
    const isEnough = span <= this.#span && this.#replay === null;
    this.#span = Math.max(span, this.#span);
    this.#alive = setInterval(() => this.#broadcast({ type: "alive" }), ALIVE);
    this.#connect(isEnough ? this.#connection.lastId : null);
  }

  #widen(span) {
    if (span <= this.#span) return;
    this.#span = span;
    this.#connect();
  }

  /** The stream replays what isn't in complete hours, or the `whole` span; after `lastId`, if there is one. */
  #connect(lastId = null, whole = false) {
    const now = () => Math.floor(this.#clock.now() / 1000);
    const from = () => now() - this.#span;
    const until = this.#span > SHORT && !whole ? completeUntil(now()) : 0;
    this.#filling = null;
    this.#connection.start(() => Math.max(from(), until), lastId);
    if (lastId === null && from() < until) this.#fill(from(), until);
  }

  /** Puts the complete hours before the stream's prices; if any isn't to be had, the stream replays everything. */
  async #fill(from, until) {
    const filling = (this.#filling = {});
    let points = [];
    try {
      for await (const hour of completeHours(this.#root, from, until)) {
        if (this.#filling !== filling) return;
        points = [...hour, ...points];
      }
    } catch {
      if (this.#filling === filling) this.#connect(null, true);
      return;
    }
    if (this.#filling === filling && points.length) this.#prepend(points);
  }

  #prepend(points) {
    if (!this.#replay) {
      this.#series = this.#series.after(points);
      this.#broadcast(this.#time(), { type: "history", points: this.#series.points });
      return;
    }
    const recent = this.#replay.points;
    this.#replay = this.#replay.after(points);
    if (recent.length) return; // settles after those
    const last = points.at(-1);
    this.#newest = aged({ ...last, type: "price" }, this.#behind(last.id));
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle(), QUIET);
  }

  /** The events that bring a new tab up to date. */
  #snapshot() {
    const events = [...this.#last.values()].map(({ event, at }) => ({ ...event, elapsed: elapsed(at) }));
    return [this.#time(), { type: "history", points: this.#series.points }, ...events];
  }

  #time() {
    return { type: "clock", now: this.#clock.now() };
  }

  #broadcast(...events) {
    for (const port of this.#ports) port.postMessage(events);
  }

  /** Keeps the newest event of its type and sends it to the tabs. */
  #update(event) {
    this.#last.set(event.type, { event, at: moment() });
    this.#broadcast(event);
  }

  #receive(event) {
    const on = {
      restart: () => this.#restart(event),
      gap: () => (this.#replay ?? this.#series).gap(),
      heartbeat: () => this.#clock.reach(event.timestamp * 1000),
      price: () => this.#append(event),
      status: () => this.#update(event),
      sources: () => this.#updateSources(event),
      link: () => this.#updateLink(event),
    };
    on[event.type]();
  }

  #restart({ lost }) {
    this.#replay = new Series();
    if (!lost) return;
    this.#filling = null;
    this.#last.delete("price");
    this.#present = Infinity;
  }

  #updateLink(event) {
    this.#update(event);
    const isTry = event.state === "connecting" || event.state === "reconnecting";
    if (event.rejected) this.#checkAccess();
    if (event.state === "connecting" || event.state === "full" || (isTry && !this.#clock.known)) this.#requestLatest();
  }

  #updateSources(event) {
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
    if (isLive && this.#settlesNow) return;
    this.#settlesNow = isLive;
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle(), isLive ? 0 : QUIET);
  }

  /** Age on arrival, in ms, of what the server sent at `time`. */
  #behind(time) {
    this.#clock.reach(time);
    return this.#clock.ago(time);
  }

  /** Sends the tabs the new points: the stream has reached the present. */
  #settle() {
    this.#settlesNow = false;
    if (this.#replay) {
      this.#series = this.#replay;
      this.#replay = null;
      this.#broadcast(this.#time(), { type: "history", points: this.#series.points });
    } else this.#broadcast(this.#time(), { type: "points", points: this.#unsent });
    this.#unsent = [];
    if (!(this.#last.get("price")?.event.id >= this.#newest.id)) this.#update(this.#newest);
  }

  /** An EventSource does not say why it failed: if it is the token, retrying is useless. */
  async #checkAccess() {
    const options = { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(DEADLINE) };
    const response = await request(this.#root, "prices/latest", options).catch(() => null);
    if (response && isRefusal(response)) this.#connection.refuse();
  }

  /** Requests the newest price alone: the stream delivers it late after a long replay, or not at all. */
  async #requestLatest() {
    const price = await this.#latest().catch(() => null); // the stream keeps retrying
    if (!price || this.#last.get("price")?.event.id > price.id) return;
    this.#present = price.id;
    this.#update(aged({ ...price, type: "price" }, this.#behind(price.id)));
  }

  /** Raises TypeError or DOMException if the server does not respond. */
  async #latest() {
    const options = { cache: "no-store", signal: AbortSignal.timeout(DEADLINE) };
    const response = await request(this.#root, "prices/latest", options);
    if (isRefusal(response)) {
      this.#connection.refuse();
      return null;
    }
    const before = this.#clock.now();
    this.#clock.learn(response.headers);
    this.#broadcast(this.#time());
    if (before - this.#clock.now() > AHEAD) this.#connect(); // its `since` may be in the server's future
    return response.ok ? response.json() : null;
  }
}

/** A price as of its arrival: its `age` may be as of its publication, or of now. */
const aged = (price, behind) => ({ ...price, behind, age: Math.max(price.age ?? 0, behind / 1000) });
