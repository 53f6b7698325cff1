// The line: fresh prices solid with a fading ground, stale ones dashed, holes left open. Drawn by uPlot (vendored).

import { amount, dayHourMinute, hourMinute, hourMinuteSecond, money } from "./format.js";
import { say } from "./spoken.js";

const SHORTEST = 60; // seconds on the time axis at least
const FLATTEST = 0.0002; // of the price on the price axis at least, so that cents don't look like cliffs
const AIR = 0.12; // of the height, above and below the line

const root = document.getElementById("chart");
const head = root.querySelector(".head");
const reading = root.querySelector(".reading");

/** A custom property as a colour that a canvas understands. */
function colour(name, alpha = 1) {
  root.style.color = `rgb(from var(${name}) r g b / ${alpha})`;
  const value = getComputedStyle(root).color;
  root.style.color = "";
  return value;
}

function ground(plot) {
  const { top, height } = plot.bbox;
  const gradient = plot.ctx.createLinearGradient(0, top, 0, top + height);
  gradient.addColorStop(0, colour("--accent", 0.22));
  gradient.addColorStop(1, colour("--accent", 0));
  return gradient;
}

function priceRange(plot, low, high) {
  if (low === null) return [0, 1];
  const span = Math.max(high - low, high * FLATTEST);
  const middle = (low + high) / 2;
  return [middle - span * (0.5 + AIR), middle + span * (0.5 + AIR)];
}

const prices = (plot, splits, axis, space, step) =>
  splits.map((price) => (step < 1 ? amount(price) : amount(price).slice(0, -3)));

const times = (plot, splits, axis, space, step) =>
  splits.map((seconds) => {
    if (plot.valToPos(seconds, "x") < space / 3) return ""; // half of it would be cut off
    return (step < 60 ? hourMinuteSecond : hourMinute)(seconds * 1000);
  });

const widest = (rem) => (plot, labels) =>
  (0.47 * Math.max(0, ...(labels ?? []).map(({ length }) => length)) + 0.6) * rem;

export class Chart {
  #plot = null;
  #data = [[], [], []];
  #window = [0, 1];
  #font = 0;

  constructor() {
    new ResizeObserver(() => this.#resize()).observe(root);
    root.addEventListener("keydown", (event) => this.#key(event));
    root.addEventListener("blur", () => this.#plot?.setCursor({ left: -10, top: -10 }));
  }

  /** Draws what `series` has between `from` and `to` (ms); `points` are those inside. */
  draw(series, points, from, to) {
    this.#window = [Math.min(from / 1000, to / 1000 - SHORTEST), to / 1000];
    this.#data = series.columns(from);
    if (!this.#plot) this.#build();
    this.#plot?.setData(this.#data);
    this.#describe(points);
    Object.assign(root.dataset, {
      first: series.points[0].id,
      last: series.last.id,
      count: series.points.length,
    });
  }

  /** Call when the colours have changed. */
  restyle() {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#data[0].length) this.#build();
  }

  #build() {
    if (!root.clientWidth) return;
    const rem = (this.#font = parseFloat(getComputedStyle(document.documentElement).fontSize));
    this.#plot = new uPlot(this.#options(rem), this.#data, root);
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
      scales: { x: { range: () => this.#window }, y: { range: priceRange } },
      axes: [
        { ...axis, grid: { show: false }, space: 6 * rem, size: 1.8 * rem, values: times },
        {
          ...axis,
          side: 1,
          grid: { stroke: colour("--rule"), width: Math.max(1, 0.055 * rem) },
          space: 3.4 * rem,
          size: widest(rem),
          values: prices,
        },
      ],
      series: [
        {},
        { stroke: colour("--accent"), width: rem / 8, fill: ground, points: { show: false } },
        { stroke: colour("--quiet"), width: rem / 10, dash: [rem / 4, rem / 4], points: { show: false } },
      ],
      hooks: { draw: [(plot) => this.#placeHead(plot)], setCursor: [(plot) => this.#read(plot)] },
    };
  }

  #resize() {
    if (!this.#plot || !root.clientWidth) return;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    if (rem !== this.#font) this.restyle();
    else this.#plot.setSize({ width: root.clientWidth, height: root.clientHeight });
  }

  #placeHead(plot) {
    const [x, fresh, stale] = this.#data;
    const last = x.length - 1;
    head.hidden = last < 0;
    if (last < 0) return;
    const price = fresh[last] ?? stale[last];
    head.classList.toggle("is-old", fresh[last] === null);
    head.style.left = `${plot.over.offsetLeft + plot.valToPos(x[last], "x")}px`;
    head.style.top = `${plot.over.offsetTop + plot.valToPos(price, "y")}px`;
  }

  #read(plot) {
    const { idx, left } = plot.cursor;
    const price = idx == null || left < 0 ? null : (this.#data[1][idx] ?? this.#data[2][idx]);
    reading.hidden = price === null;
    if (price === null) return;
    const at = this.#data[0][idx] * 1000;
    reading.firstElementChild.textContent = money(price);
    reading.lastElementChild.textContent = hourMinuteSecond(at);
    reading.lastElementChild.dateTime = new Date(at).toISOString();
    const room = root.clientWidth - reading.offsetWidth;
    reading.style.left = `${Math.max(0, Math.min(room, plot.over.offsetLeft + left - reading.offsetWidth / 2))}px`;
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const [x] = this.#data;
    if (!step || !this.#plot || !x.length) return;
    event.preventDefault();
    const idx = Math.max(0, Math.min(x.length - 1, (this.#plot.cursor.idx ?? x.length) + step));
    this.#plot.setCursor({ left: this.#plot.valToPos(x[idx], "x"), top: 1 });
    if (!reading.hidden) say(reading.textContent);
  }

  #describe(points) {
    if (!points.length) return;
    const low = points.reduce((least, { price }) => Math.min(least, price), Infinity);
    const high = points.reduce((most, { price }) => Math.max(most, price), 0);
    document.getElementById("extremes").replaceChildren(labelled("Low", low), labelled("High", high));
    const since = dayHourMinute(points[0].id);
    root.setAttribute(
      "aria-label",
      `Line chart of the price since ${since}: lowest ${money(low)}, highest ${money(high)}. Arrow keys read it.`,
    );
  }
}

function labelled(label, price) {
  const element = document.createElement("span");
  element.append(label, " ", Object.assign(document.createElement("b"), { textContent: amount(price) }));
  return element;
}
