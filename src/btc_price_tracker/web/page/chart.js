// The chart: fresh prices as a solid line with a gradient below, stale ones dashed, gaps open. Uses uPlot (vendored).

import { amount, dayHourMinute, money } from "./format.js";
import { Reading } from "./reading.js";
import { timeLabels } from "./time-axis.js";

const SHORTEST = 60; // seconds on the time axis at least
const FLATTEST = 0.0002; // of the price on the price axis at least, so that cents don't look like jumps
const PADDING = 0.12; // of the height, above and below the line

const BESIDE = 1.2; // rem of the price axis beside its widest label, for the head of the line and the padding of the tag
const TAG = 1.3; // rem from the middle of the tag on the price axis that it keeps free

const root = document.getElementById("chart");
const ruler = document.createElement("canvas").getContext("2d"); // measures text
const head = root.querySelector(".head");
const level = root.querySelector(".level");
const nothing = root.querySelector(".nothing");

/** A custom property as a colour that a canvas understands. */
function colour(name, alpha = 1) {
  root.style.color = `rgb(from var(${name}) r g b / ${alpha})`;
  const value = getComputedStyle(root).color;
  root.style.color = "";
  return value;
}

function gradient(plot) {
  const { top, height } = plot.bbox;
  const fill = plot.ctx.createLinearGradient(0, top, 0, top + height);
  fill.addColorStop(0, colour("--accent", 0.22));
  fill.addColorStop(1, colour("--accent", 0));
  return fill;
}

function priceRange(low, high) {
  const span = Math.max(high - low, high * FLATTEST);
  const middle = (low + high) / 2;
  return [middle - span * (0.5 + PADDING), middle + span * (0.5 + PADDING)];
}

/** uPlot requests the positions first, and then their labels. */
function timeAxis(rem) {
  let labels = [];
  return {
    splits: (plot, axis, from, to) => {
      labels = timeLabels(from, to, plot.bbox.width / devicePixelRatio / rem);
      return labels.map(({ time }) => time);
    },
    values: () => labels.map(({ text }) => text),
  };
}

export class Chart {
  #plot = null;
  #data = [[], [], []];
  #window = [0, 1];
  #font = 0;
  #points = [];
  #cents = false; // whether the price axis shows cents
  #price = 0;
  #ranges;
  #reading = new Reading(root);

  constructor(ranges) {
    this.#ranges = ranges;
    new ResizeObserver(() => this.#resize()).observe(root);
  }

  /** Draws what `series` has between `from` and `to` (ms); `points` are those inside, `latest` is the newest price. */
  draw(series, points, from, to, latest) {
    this.#window = [Math.min(from / 1000, to / 1000 - SHORTEST), to / 1000];
    this.#data = series.columns(from);
    this.#points = points;
    this.#price = latest.price;
    if (!this.#plot) this.#build();
    this.#plot?.setData(this.#data);
    this.#reading.update(this.#plot, points);
    nothing.hidden = latest.id >= from; // else its history is still to arrive
    nothing.textContent = `No price in the ${this.#ranges.words}.`;
    this.#describe(points);
    Object.assign(root.dataset, {
      first: series.points[0]?.id ?? "",
      last: series.last?.id ?? "",
      count: series.points.length,
    });
  }

  /** Rebuilds the plot after the colours have changed. */
  restyle() {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#price) this.#build();
  }

  #build() {
    if (!root.clientWidth) return;
    const rem = (this.#font = parseFloat(getComputedStyle(document.documentElement).fontSize));
    this.#plot = new uPlot(this.#options(rem), this.#data, root);
    this.#reading.update(this.#plot, this.#points);
  }

  #options(rem) {
    const font = `${Math.round(0.8 * rem)}px ${getComputedStyle(root).fontFamily}`;
    const axis = { font, stroke: colour("--quiet"), ticks: { show: false }, gap: 0.5 * rem };
    return {
      width: root.clientWidth,
      height: root.clientHeight,
      legend: { show: false },
      padding: [0.3 * rem, 0, 0, 0],
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: { size: 0.6 * rem, fill: colour("--accent") },
      },
      scales: {
        x: { range: () => this.#window },
        y: { range: (plot, low, high) => priceRange(low ?? this.#price, high ?? this.#price) },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 1.8 * rem, ...timeAxis(rem) },
        {
          ...axis,
          side: 1,
          grid: { stroke: colour("--rule"), width: Math.max(1, 0.055 * rem) },
          space: 3.4 * rem,
          size: (plot, labels) => this.#widest(labels ?? []) + BESIDE * rem,
          values: (plot, splits, axis, space, step) => this.#labels(plot, splits, step),
        },
      ],
      series: [
        {},
        { stroke: colour("--accent"), width: rem / 8, fill: gradient, points: { show: false } },
        { stroke: colour("--quiet"), width: rem / 10, dash: [rem / 4, rem / 4], points: { show: false } },
      ],
      hooks: { draw: [(plot) => this.#placeHead(plot)], setCursor: [(plot) => this.#reading.show(plot)] },
    };
  }

  #resize() {
    if (!this.#plot || !root.clientWidth) return;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    if (rem !== this.#font) this.restyle();
    else this.#plot.setSize({ width: root.clientWidth, height: root.clientHeight });
  }

  /** The labels of the price axis, without one that the tag at the head would overlap. */
  #labels(plot, splits, step) {
    this.#cents = step < 1;
    const y = (price) => plot.valToPos(price, "y");
    const free = (price) => !this.#headShows || Math.abs(y(price) - y(this.#price)) > TAG * this.#font;
    return splits.map((price) => (free(price) ? this.#label(price) : ""));
  }

  /** Width in pixels of the widest label or the tag. */
  #widest(labels) {
    ruler.font = `600 ${0.8 * this.#font}px ${getComputedStyle(root).fontFamily}`;
    return Math.max(...[this.#label(this.#price), ...labels].map((text) => ruler.measureText(text).width));
  }

  #label(price) {
    return this.#cents ? amount(price) : amount(price).slice(0, -3);
  }

  get #headShows() {
    return this.#data[0].at(-1) >= this.#window[0];
  }

  /** The head of the line, and its level on the price axis. */
  #placeHead(plot) {
    const [x, fresh, stale] = this.#data;
    const last = x.length - 1;
    head.hidden = level.hidden = !this.#headShows;
    if (head.hidden) return;
    const price = fresh[last] ?? stale[last];
    head.style.left = `${plot.over.offsetLeft + plot.valToPos(x[last], "x")}px`;
    head.style.top = level.style.top = `${plot.over.offsetTop + plot.valToPos(price, "y")}px`;
    level.firstElementChild.textContent = this.#label(price);
  }

  #describe(points) {
    const extremes = document.getElementById("extremes");
    if (!points.length) {
      extremes.replaceChildren();
      this.#setDescription("No prices.");
      return;
    }
    const low = points.reduce((least, { price }) => Math.min(least, price), Infinity);
    const high = points.reduce((most, { price }) => Math.max(most, price), 0);
    extremes.replaceChildren(labelled("Low", low), " ", labelled("High", high));
    this.#setDescription(
      `Since ${dayHourMinute(points[0].id)}: lowest ${money(low)}, highest ${money(high)}. Use the arrow keys to read prices.`,
    );
  }

  /** Sets the description of the chart for screen readers, unless its focus shows a reading. */
  #setDescription(text) {
    if (document.activeElement !== root) root.setAttribute("aria-valuetext", text);
  }
}

function labelled(label, price) {
  const element = document.createElement("span");
  element.append(label, " ", Object.assign(document.createElement("b"), { textContent: amount(price) }));
  return element;
}
