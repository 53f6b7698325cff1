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

  constructor(clock) {
    this.#clock = clock;
  }

  /** A status event. */
  show({ status, reason }) {
    const changed = status !== this.#status;
    if (changed && this.#status) say(`${WORDS[status] ?? status}. ${reason}`);
    this.#status = status;
    this.#reason = reason ?? "";
    this.#render();
  }

  /** A price event. */
  price(event) {
    if (event.id === this.#price?.id) return;
    this.#price = event;
    this.#render();
    this.tick();
  }

  /** An answer of /sources: whether prices are recorded and kept, and the reason while the stream has not said it. */
  learn({ recorded, origin, status, reason, store }) {
    this.#recorded = Boolean(recorded);
    $("recorded").hidden = !recorded;
    $("recorded").textContent = origin || "These prices are recorded, not live.";
    $("unsaved").hidden = !store?.fault;
    $("unsaved").textContent = store?.fault ? unsaved(store) : "";
    this.#status ??= status ?? null;
    this.#reason ||= reason ?? "";
    this.#render();
  }

  /** Once a second: the age counts up. */
  tick() {
    if (!this.#price) return;
    const { id, age } = this.#price;
    $("age").textContent = span((this.#clock.now() - id) / 1000 + (age ?? 0));
  }

  #render() {
    document.querySelector("main").dataset.price = this.#kind();
    $("none-reason").textContent = this.#reason.replace(/^No price yet: ./, (start) =>
      start.at(-1).toUpperCase(),
    ); // as the heading says
    $("none-demo").hidden = this.#recorded !== false;
    $("status").dataset.status = this.#status ?? "";
    $("status").textContent = WORDS[this.#status] ?? this.#status ?? "";
    $("reason").textContent = this.#reason;
    if (!this.#price) return;
    $("spread").textContent = this.#price.spread == null ? "–" : `±\u202f$${amount(this.#price.spread)}`;
    $("count").textContent = this.#price.sources ?? "–";
  }

  #kind() {
    if (this.#price) return this.#price.status === "stale" ? "old" : "fresh";
    return this.#reason ? "none" : "unknown";
  }
}

const unsaved = ({ fault, waiting, lost }) =>
  `Prices can't be stored now: ${fault}. ${waiting} of them wait` + (lost ? `, ${lost} are lost.` : ", none is lost.");
