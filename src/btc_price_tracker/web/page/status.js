// The facts about the price: status and reason, age, spread, number of sources; and notices.

import { announce } from "./announce.js";
import { amount, span } from "./format.js";
import { elapsed } from "./elapsed.js";

const $ = (id) => document.getElementById(id);

export class Status {
  #badge = "";

  /** Shows the verdict of verdict.js and the newest events, each of which may be null. */
  show(verdict, { price, sources }) {
    document.querySelector("main").dataset.price = verdict.price;
    document.querySelector("main").dataset.link = verdict.isLost ? "lost" : "fine";
    this.#showVerdict(verdict);
    if (sources) notice(sources);
    $("none-demo").hidden = sources?.recorded !== false;
    if (price) facts(price);
  }

  #showVerdict({ status, badge, reason, isLost }) {
    const changed = badge !== this.#badge;
    if (changed && this.#badge && !isLost) announce(`${badge}. ${reason}`);
    this.#badge = isLost ? this.#badge : badge;
    $("status").dataset.status = status;
    write("status", badge);
    write("reason", reason);
    write("none-reason", reason);
  }
}

function facts({ age, spread, sources, at }) {
  write("age", span(age + elapsed(at) / 1000));
  write("spread", spread == null ? "–" : `±\u202f$${amount(spread)}`);
  write("count", sources ?? "–");
}

function notice({ recorded, origin, store }) {
  $("recorded").hidden = !recorded;
  write("recorded", origin || "These prices are recorded, not live.");
  $("unsaved").hidden = !store?.fault;
  write("unsaved", store?.fault ? unsaved(store) : "");
}

const unsaved = ({ fault, waiting, lost }) =>
  `Prices can't be stored: ${fault}. ${waiting} are queued` + (lost ? `, ${lost} are lost.` : ", none are lost.");

/** Writes only changed text, so that a selection survives. */
function write(id, text) {
  if ($(id).textContent !== String(text)) $(id).textContent = text;
}
