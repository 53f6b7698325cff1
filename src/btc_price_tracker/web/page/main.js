// The page: one stream in, and everything that shows it.

import { Chart } from "./chart.js";
import { ServerClock } from "./clock.js";
import { offerCurl } from "./curl.js";
import { Headline } from "./headline.js";
import { Link } from "./link.js";
import { rangeChoice } from "./ranges.js";
import { Series } from "./series.js";
import { SharedStream } from "./sharing.js";
import { Sources } from "./sources.js";
import { Standing } from "./standing.js";

const FRESH = 30_000; // ms: a price this young is live, no more replay
const QUIET = 300; // ms without a price: a replay of old prices has ended

const clock = new ServerClock(() => stream.again());
const headline = new Headline();
const standing = new Standing(clock);
const chart = new Chart();
const ranges = rangeChoice(() => choose());
const link = new Link(() => stream.wake());
const sources = new Sources(
  clock,
  (answer) => standing.learn(answer),
  () => stream.wake(),
);

let series = new Series(); // what is shown
let replay = null; // what takes its place once it has reached the present
let latest = null; // the newest price event
let status = null; // the newest status event
let pending = 0;

const stream = new SharedStream(receive, recall, clock);

const receivers = {
  restart: () => (replay = new Series()),
  gap: () => (replay ?? series).gap(),
  heartbeat: () => {},
  link: (event) => link.show(event),
  status: (event) => standing.show((status = event)),
  price: (event) => append(event),
};

function receive(event) {
  receivers[event.type](event);
}

function append(event) {
  if (!(replay ?? series).append(event)) return;
  latest = event;
  const live = clock.now() - event.id < FRESH;
  if (live && pending) return;
  clearTimeout(pending);
  pending = setTimeout(settle, live ? 0 : QUIET);
}

/** The replay has reached the present: show it. */
function settle() {
  pending = 0;
  series = replay ?? series;
  replay = null;
  draw();
}

function draw() {
  if (!series.last) return;
  standing.price(latest);
  headline.price(latest.price);
  if (document.hidden) return;
  const from = Math.max(clock.now() - ranges.seconds * 1000, series.points[0].id);
  const points = series.since(from);
  headline.change(points, latest.price, ranges, clock.now());
  chart.draw(series, points, from, Math.max(clock.now(), latest.id));
}

/** The events that bring another tab to where this one is. */
function recall() {
  const prices = (replay ?? series).points.map((point) => ({ ...point, type: "price" }));
  if (prices.length) prices[prices.length - 1] = { ...prices.at(-1), ...latest };
  return [{ type: "restart" }, ...prices, status, link.event].filter(Boolean);
}

function choose() {
  stream.widen(ranges.seconds);
  draw();
}

function everySecond() {
  if (document.hidden) return;
  link.tick();
  standing.tick();
  if (!pending) draw();
}

function begin() {
  stream.start(ranges.seconds);
  sources.start();
}

function end() {
  stream.stop();
  sources.stop();
}

offerCurl();
setInterval(everySecond, 1000);
addEventListener("pagehide", end);
addEventListener("pageshow", (event) => event.persisted && begin());
addEventListener("online", () => stream.wake());
addEventListener("themechange", () => chart.restyle());
document.addEventListener("visibilitychange", () => document.hidden || (stream.wake(), everySecond()));
begin();
