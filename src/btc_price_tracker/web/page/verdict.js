// What the page may claim, from the newest events and the time since they arrived. Pure except for that time.

import { elapsed } from "./elapsed.js";
import { span } from "./format.js";

const HANDOVER = 6_000; // ms that the browser's own reconnection may take: the server's `retry:` is at most 5 s
const LATE = 3; // intervals without a new price
const SLACK = 5_000; // ms

const BADGES = { ok: "OK", degraded: "Degraded", single_source: "Single source", stale: "Stale" };
const LOST = {
  full: "The server is at its stream limit. Retrying.",
  silent: "The server is not responding.",
  refused: "The server requires a valid access token: open this page with #access_token=… at the end of its address.",
};
const ANSWERING = new Set(["ok", "excluded"]);

/** Age of the state that an event describes, in milliseconds. */
export const age = ({ at, behind = 0 }) => behind + elapsed(at);

/**
 * `price` is `unknown` (so far), `none`, `fresh`, or `old` if it is no longer current; `isLost` is whether the server is
 * unreachable; `badge` and `reason` describe the status. `link`, `status`, `price` and `sources` are
 * the newest events of their types, or null.
 */
export function verdict({ link, status, price, sources }) {
  if (isLost(link)) {
    const reason = LOST[link.state] ?? "No connection to the server.";
    return { price: price ? "old" : "unknown", isLost: true, status: "lost", badge: "Not live", reason };
  }
  const current = { isLost: false, status: status?.status ?? "", badge: badge(status), reason: status?.reason ?? "" };
  if (!sources || !price) return { ...current, price: sources?.price === null ? "none" : "unknown" };
  if (status?.status === "stale" || price.status === "stale") return { ...current, price: "old" };
  const fault = silentSources(sources) ?? overdue(price, sources);
  return fault ? { ...current, price: "old", ...stale(fault) } : { ...current, price: "fresh" };
}

function isLost(link) {
  if (!link || link.state === "connecting" || link.state === "live") return false;
  if (link.state === "reconnecting") return link.failures > 0 || elapsed(link.at) > HANDOVER;
  return true;
}

const badge = (status) => BADGES[status?.status] ?? status?.status ?? "";

const stale = (reason) => ({ status: "stale", badge: BADGES.stale, reason });

function silentSources({ sources = [] }) {
  const answers = ({ state, used }) => ANSWERING.has(state) || (state === "throttled" && used);
  return sources.length && !sources.some(answers) ? "No source is responding." : null;
}

function overdue(price, { interval }) {
  const past = age(price);
  return past > LATE * 1_000 * interval + SLACK ? `No new price for ${span(past / 1000)}.` : null;
}
