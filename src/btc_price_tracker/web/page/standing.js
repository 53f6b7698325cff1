// What stands behind the price: status and reason, age, spread, number of sources.

import { amount, span } from "./format.js";
import { say } from "./spoken.js";

const WORDS = { ok: "OK", degraded: "Degraded", single_source: "Single source", stale: "Stale" };
const $ = (id) => document.getElementById(id);

export class Standing {
  #clock;
  #price = null;
  #status = null;
  #reason = "";
  #recorded = null; // unknown until /sources has answered
  #said = false; // whether the stream has told the status: it is quicker than /sources
  #none = false; // the server has no price
  #asked = false; // whether /sources has answered or failed: until then nothing is shown, so that nothing moves

  constructor(clock) {
    this.#clock = clock;
  }

  /** A status event. */
  show({ status, reason }) {
    const changed = status !== this.#status;
    this.#said = true;
    this.#reason = plain(reason ?? "");
    if (changed && this.#status) say(`${WORDS[status] ?? status}. ${this.#reason}`);
    this.#status = status;
    this.#render();
  }

  /** A price event. */
  price(event) {
    if (event.id === this.#price?.id) return;
    this.#price = event;
    this.#render();
    this.tick();
  }

  /** /sources has answered, or failed. */
  learn(answer) {
    this.#asked = true;
    if (answer) this.#read(answer);
    this.#render();
  }

  /** Whether prices are recorded and kept, and the reason while the stream has not said it. */
  #read({ recorded, origin, status, reason, store, price }) {
    this.#recorded = Boolean(recorded);
    this.#none = price === null;
    $("recorded").hidden = !recorded;
    $("recorded").textContent = origin || "These prices are recorded, not live.";
    $("unsaved").hidden = !store?.fault;
    $("unsaved").textContent = store?.fault ? unsaved(store) : "";
    if (this.#said) return;
    this.#status = status ?? null;
    this.#reason = plain(reason ?? "");
  }

  /** Once a second: the age counts up. */
  tick() {
    if (!this.#price) return;
    const { id, age } = this.#price;
    $("age").textContent = span((this.#clock.now() - id) / 1000 + (age ?? 0));
  }

  #render() {
    document.querySelector("main").dataset.price = this.#kind();
    $("none-reason").textContent = this.#reason;
    $("none-demo").hidden = this.#recorded !== false;
    $("status").dataset.status = this.#status ?? "";
    $("status").textContent = WORDS[this.#status] ?? this.#status ?? "";
    $("reason").textContent = this.#reason;
    if (!this.#price) return;
    $("spread").textContent = this.#price.spread == null ? "–" : `±\u202f$${amount(this.#price.spread)}`;
    $("count").textContent = this.#price.sources ?? "–";
  }

  /** Whether the price is no longer the price. */
  get old() {
    return this.#status === "stale" || this.#price?.status === "stale";
  }

  #kind() {
    if (!this.#asked) return "unknown";
    if (this.#price) return this.old ? "old" : "fresh";
    return this.#none ? "none" : "unknown";
  }
}

/** A reason without "No price yet", which the heading says where it is true. */
const plain = (reason) => reason.replace(/^No price yet: ./, (start) => start.at(-1).toUpperCase());

const unsaved = ({ fault, waiting, lost }) =>
  `Prices can't be stored now: ${fault}. ${waiting} of them wait` + (lost ? `, ${lost} are lost.` : ", none is lost.");
