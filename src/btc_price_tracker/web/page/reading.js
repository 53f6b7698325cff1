// The readout of the chart: the price under the pointer, or at a mark that the keyboard moves from point to point.

import { dayHourMinuteSecond, hourMinuteSecond, money } from "./format.js";

const PAGES = 10; // of Page Up and Page Down, from end to end

export class Reading {
  #root;
  #element;
  #plot = null;
  #points = [];
  #mark = null; // id of the point chosen with the keyboard

  constructor(root) {
    this.#root = root;
    this.#element = root.querySelector(".reading");
    root.addEventListener("keydown", (event) => this.#key(event));
    root.addEventListener("pointermove", () => (this.#mark = null));
    root.addEventListener("blur", () => this.#leave());
  }

  /** The plot now shows `points`: the mark stays at its point, or moves to the first if that has scrolled out. */
  update(plot, points) {
    this.#plot = plot;
    this.#points = points;
    if (this.#mark === null || !plot) return;
    if (points.length) this.#place(this.#index());
    else this.#leave();
  }

  /** Shows the price at the cursor of the plot, after it has moved. */
  show({ cursor, data, over }) {
    const marked = this.#mark !== null;
    const price = marked ? this.#points[this.#index()].price : priceAt(data, cursor);
    this.#element.hidden = price === null;
    if (price === null) return;
    const at = marked ? this.#mark : data[0][cursor.idx] * 1000;
    const [shown, time] = this.#element.children;
    shown.textContent = money(price);
    time.textContent = this.#time(at);
    time.dateTime = new Date(at).toISOString();
    const room = this.#root.clientWidth - this.#element.offsetWidth;
    const left = over.offsetLeft + cursor.left - this.#element.offsetWidth / 2;
    this.#element.style.left = `${Math.max(0, Math.min(room, left))}px`;
  }

  #key(event) {
    const last = this.#points.length - 1;
    const at = this.#mark === null ? last + 1 : this.#index();
    const page = Math.ceil(last / PAGES);
    const to = {
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      PageDown: at - page,
      PageUp: at + page,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined || last < 0 || !this.#plot) return;
    event.preventDefault();
    this.#place(Math.max(0, Math.min(last, to)));
    this.#describe();
  }

  #place(index) {
    this.#mark = this.#points[index].id;
    this.#plot.setCursor({ left: this.#plot.valToPos(this.#mark / 1000, "x"), top: 1 });
  }

  /** Describes the marked point: to a screen reader the chart is a slider over its points. */
  #describe() {
    const index = this.#index();
    const { price, breaks } = this.#points[index];
    this.#root.setAttribute("aria-valuemax", this.#points.length - 1);
    this.#root.setAttribute("aria-valuenow", index);
    this.#root.setAttribute(
      "aria-valuetext",
      `${money(price)} at ${this.#time(this.#mark)}${breaks ? ", after a gap" : ""}`,
    );
  }

  #leave() {
    this.#mark = null;
    this.#plot?.setCursor({ left: -10, top: -10 });
  }

  #index() {
    const found = this.#points.findIndex(({ id }) => id >= this.#mark);
    return found < 0 ? this.#points.length - 1 : found;
  }

  /** The time, with the day if it differs from the newest point's. */
  #time(at) {
    const day = (id) => new Date(id).toDateString();
    const today = this.#points.length && day(at) === day(this.#points.at(-1).id);
    return (today ? hourMinuteSecond : dayHourMinuteSecond)(at);
  }
}

const priceAt = ([, fresh, stale], { idx, left }) =>
  idx == null || left < 0 ? null : (fresh[idx] ?? stale[idx]);
