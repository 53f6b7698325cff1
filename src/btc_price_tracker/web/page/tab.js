// The page's title and icon, which other tabs show.

import { amount } from "./format.js";

const LIVE = "#f7931a";
const GREY = "#8b857c";

// Inline, since an unreachable server can't serve another icon.
const icon = (colour) =>
  `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="16" fill="${colour}"/>` +
      `<path d="M6.5 19.5l5-5 4.5 4 8.5-9" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/></svg>`,
  )}`;

const link = document.querySelector("link[rel=icon]");
let shown = LIVE; // the initial icon

/** Shows the newest price event or null, and the verdict of verdict.js. */
export function showInTab(price, verdict) {
  const isFresh = verdict.price === "fresh" || (verdict.price === "unknown" && !verdict.isLost);
  if (price) document.title = `${isFresh ? "" : "Old: "}${amount(price.price)} · BTC/USD`;
  else if (verdict.price === "none") document.title = "No price · BTC/USD";
  const colour = isFresh ? LIVE : GREY;
  if (colour !== shown) link.href = icon(colour);
  shown = colour;
}
