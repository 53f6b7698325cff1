// Numbers and times as the page writes them. Prices arrive exact to the cent, and toFixed(2) keeps them so.

const MINUS = "\u2212";
const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ",");

const sign = (number, text) => (/[1-9]/.test(text) ? (number < 0 ? MINUS : "+") : "") + text;

/** ["69,420", "25"] */
export function dollarsAndCents(price) {
  const [dollars, cents] = price.toFixed(2).split(".");
  return [grouped(dollars), cents];
}

/** 69,420.25 */
export const amount = (price) => dollarsAndCents(price).join(".");

/** $69,420.25 */
export const money = (price) => `$${amount(price)}`;

/** +$12.30 */
export const signedMoney = (difference) => sign(difference, money(Math.abs(difference)));

/** −0.42 % */
export const signedPercent = (share) => sign(share, `${Math.abs(share * 100).toFixed(2)}\u202f%`);

/** A deviation in basis points; from 100 bp on in per cent. */
export function deviation(basisPoints) {
  if (Math.abs(basisPoints) >= 100)
    return sign(basisPoints, `${Math.abs(basisPoints / 100).toFixed(1)}\u202f%`);
  return sign(basisPoints, `${Math.abs(basisPoints).toFixed(1)}\u202fbp`);
}

/** A span in seconds, in its largest useful units: 8 s, 3 min 20 s, 2 h 5 min, 3 d. */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [86_400, 3_600, 60].map((unit) => Math.floor(whole / unit));
  if (days > 1) return `${days}\u202fd`;
  if (hours) return two(hours, "h", minutes % 60, "min");
  if (minutes) return two(minutes, "min", whole % 60, "s");
  return `${whole}\u202fs`;
}

const two = (large, unit, small, part) => `${large}\u202f${unit}` + (small ? ` ${small}\u202f${part}` : "");

/** A span of a second or more in the largest unit of which it has two, to follow "past": 90 seconds, 3 hours. */
export function coarse(seconds) {
  const [unit, size] = [
    ["hours", 3_600],
    ["minutes", 60],
  ].find(([, size]) => seconds >= 2 * size) ?? ["seconds", 1];
  const count = Math.floor(seconds / size);
  return count === 1 ? "second" : `${count} ${unit}`;
}

const clock = (options) => {
  const format = new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    ...options,
  });
  return (milliseconds) => format.format(milliseconds);
};

/** 14:02 */
export const hourMinute = clock({});

/** 14:02:31 */
export const hourMinuteSecond = clock({ second: "2-digit" });

/** Sat 14:02 */
export const dayHourMinute = clock({ weekday: "short" });

/** Sat 14:02:31 */
export const dayHourMinuteSecond = clock({ weekday: "short", second: "2-digit" });

const NAMES = {
  binanceus: "Binance.US",
  blockchain_info: "Blockchain.info",
  coingecko: "CoinGecko",
  coinpaprika: "CoinPaprika",
  okx: "OKX",
};

/** The display name of a source. */
export const sourceName = (name) => NAMES[name] ?? name.charAt(0).toUpperCase() + name.slice(1);
