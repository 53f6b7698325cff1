// The page: receives one stream and shows it.

import { addressOf, apiRoot } from "./api.js";
import { Chart } from "./chart.js";
import { ServerClock } from "./clock.js";
import { offerCurl } from "./curl.js";
import { Headline } from "./headline.js";
import { Link } from "./link.js";
import { rangeChoice } from "./ranges.js";
import { Series } from "./series.js";
import { Sources } from "./sources.js";
import { Status } from "./status.js";
import { Stream } from "./stream.js";
import { showInTab } from "./tab.js";
import { verdict } from "./verdict.js";

const SPREAD = 2_000; // ms over which the browsers of a network reconnect once it is online again

const clock = new ServerClock();
const headline = new Headline();
const status = new Status();
const sources = new Sources();
const ranges = rangeChoice(() => choose());
const chart = new Chart(ranges);
const stream = new Stream(receive);
const link = new Link(() => stream.wake());

const newest = { link: null, status: null, price: null, sources: null }; // events
let series = new Series();
let drawing = 0; // the timer of the next drawing
let hiddenAt = 0;

const receivers = {
  alive: () => {},
  clock: ({ now }) => clock.set(now),
  history: ({ points }) => (series = seriesOf(points)),
  points: ({ points }) => points.forEach((point) => series.append(point)),
};

function receive(event) {
  const receiver = receivers[event.type];
  if (receiver) receiver(event);
  else newest[event.type] = event;
  drawing ||= setTimeout(draw); // events that arrive together are shown together
}

function seriesOf(points) {
  const replacement = new Series();
  points.forEach((point) => replacement.append(point));
  return replacement;
}

function draw() {
  clearTimeout(drawing);
  drawing = 0;
  const { price } = newest;
  const now = verdict(newest);
  status.show(now, newest);
  if (newest.link) link.show(newest.link, now);
  showInTab(price, now);
  if (document.hidden) return;
  sources.show(newest.sources, now);
  if (price) drawPrice(price);
}

function drawPrice(price) {
  headline.price(price.price);
  const now = Math.max(clock.now(), price.id);
  const from = Math.max(now - ranges.seconds * 1000, series.points[0]?.id ?? 0);
  const points = series.since(from);
  headline.change(points, price.price, ranges, now);
  chart.draw(series, points, from, now, price);
}

function choose() {
  stream.widen(ranges.seconds);
  draw();
}

function onVisibilityChange() {
  if (document.hidden) {
    hiddenAt = Date.now();
    return;
  }
  stream.wake(Date.now() - hiddenAt);
  draw();
}

const begin = () => stream.start(ranges.seconds);

offerCurl();
document.querySelector("nav a[href=docs]").href = addressOf(apiRoot(), "docs");
setInterval(draw, 1000); // ages count up
addEventListener("pagehide", () => stream.stop());
addEventListener("pageshow", (event) => event.persisted && begin());
addEventListener("online", () => setTimeout(() => stream.wake(Infinity), SPREAD * Math.random()));
addEventListener("hashchange", () => location.hash.includes("access_token") && location.reload());
addEventListener("themechange", () => chart.restyle());
document.addEventListener("visibilitychange", onVisibilityChange);
begin();
