// The state of the connection in words, with the countdown to the next try.

import { announce } from "./announce.js";
import { elapsed } from "./elapsed.js";

const GRACE = 1_200; // ms that a hand-over may take before it is shown
const CONNECTED = {
  fresh: "Connected",
  old: "No fresh price",
  none: "No price yet",
  unknown: "Connected",
};
const WORDS = {
  connecting: "Connecting…",
  silent: "No word from the server",
  reconnecting: "Reconnecting…",
  full: "Every place is taken; trying again.",
};
const GONE = "The connection to the server is lost. Reconnecting.";
const $ = (id) => document.getElementById(id);

export class Link {
  #isLost = false;

  constructor(onRetry) {
    $("retry").addEventListener("click", onRetry);
  }

  /** The newest link event, and what verdict.js says. */
  show(link, { price, isLost }) {
    if (isLost !== this.#isLost) announce(lossOrReturn(link, isLost));
    this.#isLost = isLost;
    if (!isLost && link.state === "reconnecting" && elapsed(link.at) < GRACE) return;
    $("link").dataset.state = link.state;
    $("link").dataset.price = price;
    const words = describe(link, price);
    if ($("link-words").textContent !== words) $("link-words").textContent = words;
    offerRetry(link.state === "waiting");
  }
}

const lossOrReturn = ({ state }, isLost) => (isLost ? (state === "full" ? WORDS.full : GONE) : "Connected again.");

function describe({ state, wait, at }, price) {
  if (state === "live") return CONNECTED[price];
  if (state !== "waiting") return WORDS[state];
  const seconds = Math.ceil((wait - elapsed(at)) / 1000);
  return seconds > 0 ? `Reconnecting in ${seconds}\u202fs` : WORDS.reconnecting;
}

/** Who has pressed the button keeps a place on the page when it goes. */
function offerRetry(offered) {
  if (!offered && document.activeElement === $("retry")) $("link").focus();
  $("retry").hidden = !offered;
}
