// The hours of the history that no longer change: caches keep them, so that they cost the server next to nothing.

import { request } from "./api.js";

const HOUR = 3_600; // seconds
const SETTLING = 60; // seconds after an hour in which its last price may still come
const DEADLINE = 5_000; // ms for the response to a request

/** The end, in seconds, of the last hour that is complete at `now` (seconds). */
export const completeUntil = (now) => Math.floor((now - SETTLING) / HOUR) * HOUR;

/**
 * Yields the prices of the hours before `until`, hour by hour, newest first, back to `from` (seconds) or to where the
 * server has no more. Throws if it may be incomplete: the hour isn't complete on the server, or there is no response.
 */
export async function* completeHours(root, from, until) {
  for (let start = until - HOUR; start + HOUR > from; start -= HOUR) {
    const name = new Date(start * 1000).toISOString().slice(0, 13);
    const response = await request(root, `prices/hours/${name}`, { signal: AbortSignal.timeout(DEADLINE) });
    if (response.status === 404) return; // dropped
    if (!response.ok) throw new Error(`${name}: ${response.status}`);
    const prices = await response.json();
    const isComplete = response.headers.get("cache-control")?.includes("immutable");
    const hasOlder = response.headers.has("link");
    if (!isComplete && (prices.length || hasOlder)) throw new Error(`${name} is incomplete`);
    yield prices.filter(({ id }) => id >= from * 1000);
    if (!hasOlder) return;
  }
}
