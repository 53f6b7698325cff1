// The state of the connection in words, with the countdown to the next try.

import { say } from "./spoken.js";

const GRACE = 1_200; // ms a hand-over may take before it is worth a word
const WORDS = {
  connecting: "Connecting…",
  live: "Connected",
  reconnecting: "Reconnecting…",
  full: "Every place is taken; trying again.",
};
const GONE = "The connection to the server is lost. Reconnecting.";
const LOST = { reconnecting: GONE, waiting: GONE, full: WORDS.full };
const $ = (id) => document.getElementById(id);

export class Link {
  #event = null;
  #delay = 0;
  #lost = false;

  constructor(onRetry) {
    $("retry").addEventListener("click", onRetry);
  }

  get event() {
    return this.#event;
  }

  get lost() {
    return this.#lost;
  }

  /** `{state, until}` as Connection emits it. */
  show(event) {
    this.#event = event;
    clearTimeout(this.#delay);
    if (event.state === "live" || this.#lost) this.#render();
    else this.#delay = setTimeout(() => this.#render(), GRACE);
  }

  /** Once a second: the countdown. */
  tick() {
    if (this.#lost && this.#event.state === "waiting") this.#render();
  }

  #render() {
    const { state } = this.#event;
    const lost = state !== "connecting" && state !== "live";
    if (lost !== this.#lost) say(lost ? LOST[state] : "Connected again.");
    this.#lost = lost;
    document.querySelector("main").dataset.link = lost ? "lost" : "fine";
    $("link").dataset.state = state;
    $("link-words").textContent = this.#words();
    this.#offerRetry(state === "waiting");
  }

  /** Who has pressed the button keeps a place on the page when it goes. */
  #offerRetry(offered) {
    if (!offered && document.activeElement === $("retry")) $("link").focus();
    $("retry").hidden = !offered;
  }

  #words() {
    const { state, until } = this.#event;
    const seconds = Math.ceil((until - Date.now()) / 1000);
    if (state === "waiting") return seconds > 0 ? `Reconnecting in ${seconds}\u202fs` : "Reconnecting…";
    return WORDS[state];
  }
}
