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

  /** Shows the change from the first of `points`, honest about history shorter than the range. */
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

  /** Tells the style sheet how wide the price is, in em of whatever font this machine has. */
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

/** Puts `text` into `element`, one span a character; those from the first that changed on light up and fade. */
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
