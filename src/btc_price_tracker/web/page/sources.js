// Every source as /sources tells it: price, distance from the published price, age, and what is wrong if something is.

import { endpoint } from "./endpoint.js";
import { amount, deviation, sourceName, span } from "./format.js";

const PERIOD = 3_000; // ms between questions while the page is visible
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
  #onAnswer;
  #onReturn;
  #silent = false; // the server did not answer the last question
  #timer = 0;

  /** Tells each answer, and that the server has returned after a silence. */
  constructor(clock, onAnswer, onReturn) {
    this.#clock = clock;
    this.#onAnswer = onAnswer;
    this.#onReturn = onReturn;
    document.addEventListener("visibilitychange", () => this.#timer && !document.hidden && this.start());
  }

  start() {
    this.stop();
    this.#timer = setInterval(() => document.hidden || this.#ask(), PERIOD);
    this.#ask();
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }

  async #ask() {
    try {
      const response = await fetch(endpoint("/sources"), {
        cache: "no-store",
        signal: AbortSignal.timeout(PERIOD),
      });
      this.#clock.learn(response.headers);
      if (this.#silent) this.#onReturn();
      this.#silent = false;
      note(response.ok ? "" : refusal(response.status));
      if (response.ok) this.#show(await response.json());
    } catch {
      this.#silent = true;
      note("The server does not answer. Asking again.");
    }
  }

  #show(answer) {
    this.#onAnswer(answer);
    show(answer.sources ?? []);
  }
}

const refusal = (status) =>
  status === 401 || status === 403
    ? "This server wants an access token: open the page with ?access_token=… in its address."
    : `The server cannot say now (${status}). Asking again.`;

function note(text) {
  const element = document.getElementById("sources-note");
  element.textContent = text;
  element.hidden = !text;
}

const newItem = () => document.getElementById("source").content.firstElementChild.cloneNode(true);

/** Keeps the items that are there, so that a selection and the marks' motion survive. */
function show(sources) {
  const list = document.getElementById("sources");
  while (list.children.length > sources.length) list.lastElementChild.remove();
  sources.forEach((source, i) => fill(list.children[i] ?? list.appendChild(newItem()), source));
}

function fill(item, source) {
  const { name, used, deviation_bp: distance, state } = source;
  const price = source.price ?? source.last;
  item.classList.toggle("is-used", Boolean(used));
  item.classList.toggle("is-trouble", !CALM.has(state));
  write(item, ".source-name", sourceName(name ?? "?"));
  write(item, ".source-state", standing(source));
  write(item, ".source-reason", explanation(source));
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

const standing = ({ state, age }) =>
  (STATES[state] ?? state ?? "unknown") + (age == null ? "" : `, ${span(age)}`);

function explanation({ state, reason, error, next_try_s: next }) {
  const soon = next >= 1 && !CALM.has(state) ? `next try in ${span(next)}` : null;
  return [reason ?? error, soon].map((part) => (part ? `\u00a0· ${part}` : "")).join("");
}
