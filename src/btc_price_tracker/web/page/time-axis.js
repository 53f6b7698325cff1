// The labels of the time axis: at round times of the user's time zone, as dense as they fit, and at least two. Pure.

import { hourMinute, hourMinuteSecond } from "./format.js";

const [MINUTE, HOUR] = [60, 3_600];
const STEPS = [
  ...[1, 2, 5, 10, 15, 20, 30],
  ...[1, 2, 3, 5, 10, 15, 20, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 4, 6, 8, 12].map((hours) => hours * HOUR),
]; // seconds; those below an hour divide it, the others a day
const PADDING = 2.1; // rem between two labels
const CHARACTER = 0.47; // rem

const label = (step) => (step < MINUTE ? hourMinuteSecond : hourMinute);

/** Width of a label in rem, with the space beside it. */
const room = (step) => CHARACTER * label(step)(0).length + PADDING;

/** The times (s) to label between `from` and `to` (s), on an axis that is `width` rem long, and their labels. */
export function timeLabels(from, to, width) {
  const perRem = (to - from) / width;
  const start = (step) => from + (perRem * CHARACTER * label(step)(0).length) / 2; // an earlier label would be cut off
  let step = STEPS.find((each) => each >= perRem * room(each)) ?? STEPS.at(-1);
  let times = timesOf(step, start(step), to);
  while (times.length < 2 && step > STEPS[0]) {
    step = STEPS[STEPS.indexOf(step) - 1];
    times = timesOf(step, start(step), to);
  }
  return times.map((time) => ({ time, text: label(step)(1_000 * time) }));
}

/** The multiples of `step` from `from` to `to` (s), counted from the hour or, from an hour on, from midnight. */
function timesOf(step, from, to) {
  const times = [];
  for (let time = roundDown(step, from); time <= to; time = next(step, time)) if (time >= from) times.push(time);
  return times;
}

function roundDown(step, time) {
  const date = new Date(1_000 * time);
  if (step < HOUR) {
    date.setMinutes(0, 0, 0);
    return date / 1_000 + Math.floor((time - date / 1_000) / step) * step;
  }
  const hours = step / HOUR;
  return date.setHours(Math.floor(date.getHours() / hours) * hours, 0, 0, 0) / 1_000;
}

/** In local time, also when daylight saving time begins or ends. */
function next(step, time) {
  if (step < HOUR) return time + step;
  const date = new Date(1_000 * time);
  return date.setHours(date.getHours() + step / HOUR) / 1_000;
}
