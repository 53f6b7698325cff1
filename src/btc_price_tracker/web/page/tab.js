// The page's title and icon: what is seen of it from another tab.

import { amount } from "./format.js";

const LIVE = "#f7931a";
const GREY = "#8b857c";

// Inline, since a server that is gone gives no other icon.
const icon = (colour) =>
  `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="16" fill="${colour}"/>` +
      `<path d="M6.5 19.5l5-5 4.5 4 8.5-9" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/></svg>`,
  )}`;

const link = document.querySelector("link[rel=icon]");
let shown = LIVE; // as the page comes

/** The newest price event or null, and what verdict.js says. */
export function showInTab(price, verdict) {
  const isFresh = verdict.price === "fresh" || (verdict.price === "unknown" && !verdict.isLost);
  if (price) document.title = `${isFresh ? "" : "Old: "}${amount(price.price)} · BTC/USD`;
  else if (verdict.price === "none") document.title = "No price · BTC/USD";
  const colour = isFresh ? LIVE : GREY;
  if (colour !== shown) link.href = icon(colour);
  shown = colour;
}
