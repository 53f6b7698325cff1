// The points of the chart: in order of id, each once, holes kept as holes, bounded in number.

const LIMIT = 12_000; // points kept; beyond it the older ones are thinned
const WHOLE = 4_000; // the newest, never thinned
const HORIZON = 90_000_000; // ms: the longest range is a day; an hour is spare
const FINENESS = 2_000; // largest number of time buckets that the older points are thinned to
const HOLE = 3; // usual spacings without a price break the line
const MEMORY = 7; // spacings whose median is the usual one

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

/** The points with the lowest and the highest price of each bucket of `width` ms. */
function extremes(points, width) {
  const found = new Map();
  for (const point of points) {
    const bucket = Math.floor(point.id / width);
    const { low, high } = found.get(bucket) ?? { low: point, high: point };
    found.set(bucket, {
      low: point.price < low.price ? point : low,
      high: point.price > high.price ? point : high,
    });
  }
  return new Set([...found.values()].flatMap(({ low, high }) => [low, high]));
}

/**
 * Keeps the first point, from which the change is computed, and every extreme. Buckets are a power of two long and
 * aligned, so that thinned points stay as they are until the buckets double.
 */
function thin(points, span) {
  const wanted = extremes(points, 2 ** Math.ceil(Math.log2(span / FINENESS))).add(points[0]);
  const kept = [];
  let broken = false;
  for (const point of points) {
    broken ||= point.breaks;
    if (!wanted.has(point)) continue;
    kept.push({ ...point, breaks: broken });
    broken = false;
  }
  return kept;
}

export class Series {
  #points = [];
  #spacings = [];
  #gap = false;

  /** Breaks the line before the next point: the server cannot replay what is missing. */
  gap() {
    this.#gap = true;
  }

  /** Appends `{id, price, status}`, and `breaks` if known; ignores points that are not newer than the last. */
  append({ id, price, status, breaks }) {
    const last = this.last;
    if (last && id <= last.id) return false;
    this.#points.push({ id, price, status, breaks: breaks ?? this.#breaks(last, id) });
    this.#gap = false;
    if (this.#points.length > LIMIT) this.#thin();
    return true;
  }

  /** Another series, with these older points before its own. */
  after(points) {
    const filled = new Series();
    for (const point of points) filled.append(point);
    for (const [index, point] of this.#points.entries()) filled.append(index ? point : { ...point, breaks: undefined });
    return filled;
  }

  get last() {
    return this.#points.at(-1);
  }

  get points() {
    return this.#points;
  }

  /** The points not older than `from` (ms). */
  since(from) {
    return this.#points.slice(this.#index(from));
  }

  /** Columns for uPlot: seconds, fresh prices, stale prices; one more point on the left, so that the line starts at the edge. */
  columns(from) {
    const [x, fresh, stale] = [[], [], []];
    const push = (time, price, old) => (x.push(time), fresh.push(old ? null : price), stale.push(old));
    let before = null;
    for (const { id, price, status, breaks } of this.#points.slice(Math.max(0, this.#index(from) - 1))) {
      if (breaks && before) push((before.id + id) / 2000, null, null);
      const old = status === "stale" ? price : null;
      push(id / 1000, price, old);
      if (old !== null && !breaks && before) stale[stale.length - 2] ??= before.price;
      before = { id, price };
    }
    return [x, fresh, stale];
  }

  #index(from) {
    let [low, high] = [0, this.#points.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#points[middle].id < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #breaks(last, id) {
    if (!last) return false;
    const spacing = id - last.id;
    const hole = this.#spacings.length > 0 && spacing > HOLE * median(this.#spacings);
    this.#spacings = [...this.#spacings, spacing].slice(-MEMORY);
    return hole || this.#gap;
  }

  #thin() {
    this.#points = this.since(this.last.id - HORIZON);
    if (this.#points.length <= LIMIT) return;
    const old = this.#points.length - WHOLE;
    const span = this.last.id - this.#points[0].id;
    this.#points = [...thin(this.#points.slice(0, old), span), ...this.#points.slice(old)];
  }
}
