// A tab's end of the shared stream, which runs in a SharedWorker if the browser supports them, else in this page.

import { apiRoot } from "./api.js";
import { elapsed, moment } from "./elapsed.js";
import { SharedStream } from "./shared-stream.js";

const WATCH = 10_000; // ms between checks that the worker is alive
const SILENCE = 35_000; // ms without a message from it: three `alive` messages are missing

const WORKER = new URL("shared-stream-worker.js", import.meta.url);

const root = apiRoot();

/** Passes the events of the shared stream to `receive`, in order. */
export class Stream {
  #receive;
  #port = null;
  #span = 0;
  #own = null; // the stream of this page alone
  #mayShare = "SharedWorker" in globalThis;
  #watchdog = 0;
  #lastMessage = moment();
  #hasFailed = false; // the worker has timed out once

  constructor(receive) {
    this.#receive = receive;
  }

  /** Joins, with the past `span` seconds. */
  start(span) {
    this.#span = span;
    this.#open();
    this.#watchdog = setInterval(() => this.#check(), WATCH);
  }

  /** Asks for the past `span` seconds. */
  widen(span) {
    this.#span = span;
    this.#port.postMessage({ type: "widen", span });
  }

  /** Reconnects now instead of later; `away` as for Connection. */
  wake(away = 0) {
    this.#port.postMessage({ type: "wake", away });
  }

  stop() {
    clearInterval(this.#watchdog);
    this.#close();
  }

  #open() {
    this.#lastMessage = moment();
    this.#port = this.#sharedPort() ?? this.#ownPort();
    this.#port.onmessage = ({ data }) => this.#onMessage(data);
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
      return null; // the browser forbids it, as some do if cookies are blocked
    }
  }

  #ownPort() {
    this.#own ??= new SharedStream(root);
    const { port1, port2 } = new MessageChannel();
    this.#own.attach(port1);
    return port2;
  }

  /** Does without a worker: they cannot be modules here, or are not available. */
  #fallBack() {
    if (!this.#mayShare) return;
    this.#mayShare = false;
    this.#close();
    this.#open();
  }

  #onMessage(events) {
    this.#lastMessage = moment();
    this.#hasFailed = false;
    for (const event of events) this.#receive({ ...event, at: moment(event.elapsed) });
  }

  /** A worker may be terminated without notice: joins again, which starts another, and does without if that fails. */
  #check() {
    if (elapsed(this.#lastMessage) < SILENCE) return;
    if (this.#hasFailed) this.#fallBack();
    else {
      this.#hasFailed = true;
      this.#close();
      this.#open();
    }
  }
}
