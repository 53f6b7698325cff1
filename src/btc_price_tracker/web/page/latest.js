// The newest price by itself, for when the stream brings none: it is older than the chosen range, comes late in a long
// replay, or every place is taken.

/** The newest price as the stream would have it, or null. */
export async function askLatest(clock) {
  try {
    const response = await fetch("prices/latest", { cache: "no-store" });
    if (!response.ok) return null;
    const price = await response.json();
    // Here the age of a stale price has grown until now; the stream tells how old it was when it was published.
    if (price.status === "stale") price.age -= (clock.now() - price.id) / 1000;
    return price;
  } catch {
    return null; // the stream goes on trying
  }
}
