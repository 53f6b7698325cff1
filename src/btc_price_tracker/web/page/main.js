// The page: one stream in, and everything that shows it.

import { Asking } from "./asking.js";
import { Chart } from "./chart.js";
import { ServerClock } from "./clock.js";
import { offerCurl } from "./curl.js";
import { Headline } from "./headline.js";
import { askLatest } from "./latest.js";
import { Link } from "./link.js";
import { rangeChoice } from "./ranges.js";
import { Series } from "./series.js";
import { SharedStream } from "./sharing.js";
import { Sources } from "./sources.js";
import { Standing } from "./standing.js";

const FRESH = 30_000; // ms: a price this young is live, no more replay
const QUIET = 3_000; // ms without a price: a replay of old prices has ended

const clock = new ServerClock(() => stream.again());
const headline = new Headline();
const standing = new Standing(clock);
const sources = new Sources(clock);
const ranges = rangeChoice(() => choose());
const chart = new Chart(ranges);
const link = new Link(() => stream.wake());

let series = new Series(); // what is shown
let replay = null; // what takes its place once it has reached the present
let newest = null; // the newest price of the stream, be it of a replay
let latest = null; // the price that is shown
let present = Infinity; // the id at which a replay has arrived, if that is known
let status = null; // the newest status event
let answer = null; // the newest answer of /sources
let pending = 0; // the timer that ends a replay
let hasty = false; // whether it does so at once
let left = 0; // when the page was hidden

const stream = new SharedStream(receive, recall, clock);
const asking = new Asking(
  clock,
  () => stream.leads && !(document.hidden && answer), // once also for a page that was opened in the background
  (event) => stream.share(event),
  () => stream.wake(),
);

const receivers = {
  restart: (event) => restart(event),
  gap: () => (replay ?? series).gap(),
  heartbeat: () => {},
  link: (event) => relink(event),
  status: (event) => restate(event),
  price: (event) => append(event),
  sources: (event) => learn(event),
};

function receive(event) {
  receivers[event.type](event);
}

function restart({ lost }) {
  replay = new Series();
  if (!lost) return;
  latest = null;
  present = Infinity;
}

function relink(event) {
  link.show(event);
  asking.link(event);
  if (event.state === "full") showLatest();
}

function restate(event) {
  standing.show((status = event));
  asking.soon(event.timestamp * 1000 + 999);
}

function learn(event) {
  clock.offset = event.offset;
  sources.show(event);
  standing.learn(event.answer);
  if (!event.answer) return;
  answer = event;
  if (event.answer.heartbeat) stream.heartbeat = event.answer.heartbeat;
  if (event.answer.price != null && !latest) showLatest();
}

function append(event) {
  if (!(replay ?? series).append(event)) return;
  newest = event;
  const live = event.id >= present || clock.now() - event.id < FRESH;
  if (live && hasty) return;
  hasty = live;
  clearTimeout(pending);
  pending = setTimeout(settle, live ? 0 : QUIET);
}

/** The replay has reached the present: show it. */
function settle() {
  pending = 0;
  hasty = false;
  series = replay ?? series;
  replay = null;
  if (!(latest?.id > newest.id)) latest = newest;
  asking.soon(newest.id);
  draw();
}

/** Shows the newest price of all, though the stream has not brought it. */
async function showLatest() {
  const price = await askLatest(clock);
  if (!price || latest?.id >= price.id) return;
  latest = price;
  present = price.id;
  draw();
}

function draw() {
  if (!latest) return;
  standing.price(latest);
  headline.price(latest.price, standing.old || link.lost);
  if (document.hidden) return;
  const now = Math.max(clock.now(), latest.id);
  const from = Math.max(now - ranges.seconds * 1000, series.points[0]?.id ?? 0);
  const points = series.since(from);
  headline.change(points, latest.price, ranges, now);
  chart.draw(series, points, from, now, latest);
}

/** The events that bring another tab to where this one is. */
function recall() {
  const prices = (replay ?? series).points.map((point) => ({ ...point, type: "price" }));
  if (prices.length) prices[prices.length - 1] = { ...prices.at(-1), ...newest };
  return [{ type: "restart" }, ...prices, status, link.event, answer].filter(Boolean);
}

function choose() {
  stream.widen(ranges.seconds);
  draw();
}

function everySecond() {
  link.tick();
  standing.tick();
  sources.tick();
  if (!pending) draw();
}

function turn() {
  if (document.hidden) {
    left = Date.now();
    return;
  }
  stream.wake(Date.now() - left);
  asking.soon(clock.now());
  everySecond();
}

function begin() {
  stream.start(ranges.seconds);
}

function end() {
  stream.stop();
  asking.stop();
}

offerCurl();
setInterval(everySecond, 1000);
addEventListener("pagehide", end);
addEventListener("pageshow", (event) => event.persisted && begin());
addEventListener("online", () => stream.wake(Infinity));
addEventListener("themechange", () => chart.restyle());
document.addEventListener("visibilitychange", turn);
begin();
