// The price, large, and its change over the chosen range.

import { coarse, dollarsAndCents, money, signedMoney, signedPercent } from "./format.js";

const FLASH = 900; // ms
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const $ = (id) => document.getElementById(id);

export class Headline {
  #shown = null;
  #fitted = 0; // length of the dollars for which the size was set

  price(price) {
    if (price === this.#shown) return;
    this.#write(price);
    this.#shown = price;
  }

  /** Shows the change since the first of `points`, and its period if history is shorter than the range. */
  change(points, price, { seconds, words }, now) {
    const [first] = points;
    const past = first ? (now - first.id) / 1000 : 0;
    if (past < 1) {
      $("change").replaceChildren();
      return;
    }
    const difference = price - first.price;
    $("change").dataset.way = Math.abs(difference) < 0.005 ? "level" : difference > 0 ? "up" : "down";
    $("change").replaceChildren(
      make("b", signedMoney(difference)),
      make("b", signedPercent(difference / first.price)),
      make("span", past > seconds * 0.95 ? words : `past ${coarse(past)}`, "quiet"),
    );
  }

  /** Gives the style sheet the width of the price in em, which depends on the fonts of this machine. */
  #fit(length) {
    this.#fitted = length;
    const figures = $("price").querySelector(".figures");
    $("price").style.setProperty(
      "--em",
      figures.offsetWidth / parseFloat(getComputedStyle(figures).fontSize),
    );
  }

  #write(price) {
    const [dollars, cents] = dollarsAndCents(price);
    $("price-words").textContent = money(price);
    const colour = this.#shown !== null && (price > this.#shown ? "--up" : "--down");
    rewrite($("dollars"), dollars, colour);
    rewrite($("cents"), `.${cents}`, colour);
    if (dollars.length !== this.#fitted) this.#fit(dollars.length);
  }
}

/** Writes `text` into `element`, one span per character; those from the first change on flash. */
function rewrite(element, text, colour) {
  const before = element.textContent;
  const same =
    before.length === text.length ? [...text].findIndex((character, i) => character !== before[i]) : 0;
  element.replaceChildren(...[...text].map((character) => make("span", character)));
  if (!colour || calm.matches || same < 0) return;
  for (const figure of [...element.children].slice(same)) {
    figure.animate(
      { color: [`var(${colour})`, getComputedStyle(figure).color] },
      { duration: FLASH, easing: "ease-out" },
    );
  }
}

const make = (tag, textContent, className = "") =>
  Object.assign(document.createElement(tag), { textContent, className });
