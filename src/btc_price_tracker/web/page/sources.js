// Every source as in the server's `sources` events: price, deviation from the published price, age and fault.

import { amount, deviation, sourceName, span } from "./format.js";
import { age } from "./verdict.js";

const SCALE = 10; // bp at the ends of the scale
const STATES = {
  ok: "fresh",
  stale: "stale",
  excluded: "excluded",
  open: "paused",
  throttled: "rate limited",
  waiting: "waiting",
  error: "failed",
};
const CALM = new Set(["ok", "waiting"]);
const WAITING = "Waiting for the server…";
const LOST = "Unknown without a connection.";

export class Sources {
  /** Shows the newest `sources` event or null. Keeps the items, so that selections and transitions survive. */
  show(event, { isLost }) {
    write(document, "#sources-note", isLost ? LOST : WAITING);
    document.getElementById("sources-note").hidden = event !== null;
    if (event === null) return;
    const sources = event.sources ?? [];
    const past = age(event) / 1000;
    const list = document.getElementById("sources");
    while (list.children.length > sources.length) list.lastElementChild.remove();
    sources.forEach((source, i) => fill(list.children[i] ?? list.appendChild(newItem()), source, past, isLost));
  }
}

const newItem = () => document.getElementById("source").content.firstElementChild.cloneNode(true);

function fill(item, source, past, isLost) {
  const { name, used, deviation_bp: distance, state } = source;
  const price = source.price ?? source.last;
  item.classList.toggle("is-used", Boolean(used));
  item.classList.toggle("is-trouble", !CALM.has(state) && !isLost);
  write(item, ".source-name", sourceName(name ?? "?"));
  write(item, ".source-state", describeState(source, past, isLost));
  write(item, ".source-reason", isLost ? "" : explanation(source, past));
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

function describeState({ state, age }, past, isLost) {
  const quoteAge = age == null ? "" : span(age + past);
  if (isLost) return quoteAge ? `last known ${quoteAge} ago` : "unknown";
  return (STATES[state] ?? state ?? "unknown") + (quoteAge && `, ${quoteAge}`);
}

/** The error of a failing source says more than the reason that the price rule gives for its silence. */
function explanation({ state, reason, error, next_try_s: next }, past) {
  const calm = CALM.has(state);
  const retry = next - past >= 1 && !calm ? `retries in ${span(next - past)}` : null;
  const cause = calm ? (reason ?? error) : (error ?? reason);
  return [cause, retry].map((part) => (part ? `\u00a0· ${part}` : "")).join("");
}
