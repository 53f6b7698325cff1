// A tab's end of the shared stream: in a SharedWorker where the browser has them, else in this page.

import { elapsed, moment } from "./elapsed.js";
import { SharedStream } from "./shared-stream.js";

const WATCH = 10_000; // ms between checks that the worker lives
const SILENCE = 35_000; // ms without a message from it: three signs of life are missing

const WORKER = new URL("shared-stream-worker.js", import.meta.url);

const root = new URL("./", document.baseURI).href; // of the API

/** Gives `receive` the events of the shared stream, in order. */
export class Stream {
  #receive;
  #port = null;
  #span = 0;
  #own = null; // this page's own
  #mayShare = "SharedWorker" in globalThis;
  #watch = 0;
  #heard = moment();
  #hasFailed = false; // the worker has been silent for once

  constructor(receive) {
    this.#receive = receive;
  }

  /** Joins, with the past `span` seconds. */
  start(span) {
    this.#span = span;
    this.#open();
    this.#watch = setInterval(() => this.#check(), WATCH);
  }

  /** Asks for the past `span` seconds. */
  widen(span) {
    this.#span = span;
    this.#port.postMessage({ type: "widen", span });
  }

  /** Tries now instead of later; `away` as for Connection. */
  wake(away = 0) {
    this.#port.postMessage({ type: "wake", away });
  }

  stop() {
    clearInterval(this.#watch);
    this.#close();
  }

  #open() {
    this.#heard = moment();
    this.#port = this.#sharedPort() ?? this.#ownPort();
    this.#port.onmessage = ({ data }) => this.#hear(data);
    this.#port.postMessage({ type: "join", span: this.#span });
  }

  #close() {
    this.#port.postMessage({ type: "leave" });
    this.#port.close();
  }

  #sharedPort() {
    if (!this.#mayShare) return null;
    try {
      const worker = new SharedWorker(WORKER, { type: "module", name: root });
      worker.onerror = () => this.#fallBack();
      return worker.port;
    } catch {
      return null; // the browser forbids it, as some do where cookies are blocked
    }
  }

  #ownPort() {
    this.#own ??= new SharedStream(root);
    const { port1, port2 } = new MessageChannel();
    this.#own.attach(port1);
    return port2;
  }

  /** Where workers cannot be modules, or cannot be had. */
  #fallBack() {
    if (!this.#mayShare) return;
    this.#mayShare = false;
    this.#close();
    this.#open();
  }

  #hear(events) {
    this.#heard = moment();
    this.#hasFailed = false;
    for (const event of events) this.#receive({ ...event, at: moment(event.elapsed) });
  }

  /** A worker may be ended without a word: join anew, which starts another, and do without if that helps nothing. */
  #check() {
    if (elapsed(this.#heard) < SILENCE) return;
    if (this.#hasFailed) this.#fallBack();
    else {
      this.#hasFailed = true;
      this.#close();
      this.#open();
    }
  }
}
