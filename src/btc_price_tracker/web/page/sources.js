// Every source as /sources tells it: price, distance from the published price, age, and what is wrong if something is.

import { amount, deviation, sourceName, span } from "./format.js";

const SCALE = 10; // bp at the ends of the scale
const STATES = {
  ok: "fresh",
  stale: "stale",
  excluded: "set aside",
  open: "resting",
  throttled: "told to wait",
  waiting: "waiting",
  error: "failed",
};
const CALM = new Set(["ok", "waiting"]);

export class Sources {
  #clock;
  #sources = [];
  #at = 0; // the server's time of what they say

  constructor(clock) {
    this.#clock = clock;
  }

  /** An answer of /sources, or a note why there is none. */
  show({ answer, note, at }) {
    write(document, "#sources-note", note);
    document.getElementById("sources-note").hidden = !note;
    if (!answer) return;
    this.#sources = answer.sources ?? [];
    this.#at = at;
    this.tick();
  }

  /** Once a second: ages count up, waits down. Keeps the items, so that a selection and the marks' motion survive. */
  tick() {
    const past = Math.max(0, this.#clock.now() - this.#at) / 1000;
    const list = document.getElementById("sources");
    while (list.children.length > this.#sources.length) list.lastElementChild.remove();
    this.#sources.forEach((source, i) => fill(list.children[i] ?? list.appendChild(newItem()), source, past));
  }
}

const newItem = () => document.getElementById("source").content.firstElementChild.cloneNode(true);

function fill(item, source, past) {
  const { name, used, deviation_bp: distance, state } = source;
  const price = source.price ?? source.last;
  item.classList.toggle("is-used", Boolean(used));
  item.classList.toggle("is-trouble", !CALM.has(state));
  write(item, ".source-name", sourceName(name ?? "?"));
  write(item, ".source-state", standing(source, past));
  write(item, ".source-reason", explanation(source, past));
  write(item, ".source-price", price == null ? "–" : amount(price));
  write(item, ".source-deviation", distance == null ? "" : deviation(distance));
  item.querySelector(".scale").classList.toggle("is-empty", distance == null);
  item.querySelector(".scale i").style.left =
    `${50 + 50 * Math.max(-1, Math.min(1, (distance ?? 0) / SCALE))}%`;
}

function write(item, selector, text) {
  const element = item.querySelector(selector);
  if (element.textContent !== text) element.textContent = text;
}

const standing = ({ state, age }, past) =>
  (STATES[state] ?? state ?? "unknown") + (age == null ? "" : `, ${span(age + past)}`);

/** A fault is worth more than what the price rule makes of its silence. */
function explanation({ state, reason, error, next_try_s: next }, past) {
  const calm = CALM.has(state);
  const soon = next - past >= 1 && !calm ? `next try in ${span(next - past)}` : null;
  const said = calm ? (reason ?? error) : (error ?? reason);
  return [said, soon].map((part) => (part ? `\u00a0· ${part}` : "")).join("");
}
