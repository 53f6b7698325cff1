// The state of the connection as text, with the countdown to the next attempt.

import { announce } from "./announce.js";
import { elapsed } from "./elapsed.js";

const GRACE = 1_200; // ms that a reconnection may take before it is shown
const CONNECTED = {
  fresh: "Connected",
  old: "No fresh price",
  none: "No price yet",
  unknown: "Connected",
};
const TEXTS = {
  connecting: "Connecting…",
  silent: "Server not responding",
  reconnecting: "Reconnecting…",
  full: "Server at its stream limit. Retrying.",
  refused: "Access token required",
};
const SAID = { full: TEXTS.full, refused: TEXTS.refused };
const GONE = "Connection to the server lost. Reconnecting.";
const $ = (id) => document.getElementById(id);

export class Link {
  #isLost = false;

  constructor(onRetry) {
    $("retry").addEventListener("click", onRetry);
  }

  /** Shows the newest link event and the verdict of verdict.js. */
  show(link, { price, isLost }) {
    if (isLost !== this.#isLost) announce(describeChange(link, isLost));
    this.#isLost = isLost;
    if (!isLost && link.state === "reconnecting" && elapsed(link.at) < GRACE) return;
    $("link").dataset.state = link.state;
    $("link").dataset.price = price;
    const text = describe(link, price);
    if ($("link-words").textContent !== text) $("link-words").textContent = text;
    offerRetry(link.state === "waiting");
  }
}

const describeChange = ({ state }, isLost) => (isLost ? (SAID[state] ?? GONE) : "Reconnected.");

function describe({ state, wait, at }, price) {
  if (state === "live") return CONNECTED[price];
  if (state !== "waiting") return TEXTS[state];
  const seconds = Math.ceil((wait - elapsed(at)) / 1000);
  return seconds > 0 ? `Reconnecting in ${seconds}\u202fs` : TEXTS.reconnecting;
}

/** Moves the focus from the button when it disappears, so that keyboard users keep their position. */
function offerRetry(offered) {
  if (!offered && document.activeElement === $("retry")) $("link").focus();
  $("retry").hidden = !offered;
}
