// What the page may claim now, from the newest events and the time since they came. Pure, but for that time.

import { elapsed } from "./elapsed.js";
import { span } from "./format.js";

const HANDOVER = 6_000; // ms that the browser's own reconnection may take: the server's `retry:` is 5 s at most
const LATE = 3; // intervals without a new price
const SLACK = 5_000; // ms

const BADGES = { ok: "OK", degraded: "Degraded", single_source: "Single source", stale: "Stale" };
const LOST = {
  full: "The server has no stream to spare; trying again.",
  silent: "The server has gone silent.",
};
const ANSWERING = new Set(["ok", "excluded"]);

/** Milliseconds that what an event says is old. */
export const age = ({ at, behind = 0 }) => behind + elapsed(at);

/**
 * What stands: `price` is `unknown` yet, `none`, `fresh`, or `old`, where it is no longer the price; `isLost` is whether
 * the server is out of reach; `badge` and `reason` are the status in words. `link`, `status`, `price` and `sources` are
 * the newest events of their types, or null.
 */
export function verdict({ link, status, price, sources }) {
  if (isLost(link)) {
    const reason = LOST[link.state] ?? "No connection to the server.";
    return { price: price ? "old" : "unknown", isLost: true, status: "lost", badge: "Not live", reason };
  }
  const said = { isLost: false, status: status?.status ?? "", badge: badge(status), reason: status?.reason ?? "" };
  if (!sources || !price) return { ...said, price: sources?.price === null ? "none" : "unknown" };
  if (status?.status === "stale" || price.status === "stale") return { ...said, price: "old" };
  const fault = unheard(sources) ?? overdue(price, sources);
  return fault ? { ...said, price: "old", ...stale(fault) } : { ...said, price: "fresh" };
}

function isLost(link) {
  if (!link || link.state === "connecting" || link.state === "live") return false;
  if (link.state === "reconnecting") return link.failures > 0 || elapsed(link.at) > HANDOVER;
  return true;
}

const badge = (status) => BADGES[status?.status] ?? status?.status ?? "";

const stale = (reason) => ({ status: "stale", badge: BADGES.stale, reason });

function unheard({ sources = [] }) {
  const answers = ({ state, used }) => ANSWERING.has(state) || (state === "throttled" && used);
  return sources.length && !sources.some(answers) ? "No source answers now." : null;
}

function overdue(price, { interval }) {
  const past = age(price);
  return past > LATE * 1_000 * interval + SLACK ? `No new price for ${span(past / 1000)}.` : null;
}
