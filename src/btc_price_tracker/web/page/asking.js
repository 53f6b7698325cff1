// When to ask /sources: after each price, so that both on the page are of the same round; slowly while the stream is
// down, to see the server return. One tab asks for all, and each a little later than the server's whole crowd.

const LEAST = 1_000; // ms between two questions
const SPREAD = 0.1; // of the time since the last one, a tenth, by chance
const LONG = 10_000; // ms, and of no more than this
const PROBE = 3_000; // ms between questions while the stream is down, and for an answer

export class Asking {
  #clock;
  #may;
  #onAnswer;
  #onReturn;
  #silent = false; // the server did not answer the last question
  #asked = 0;
  #known = 0; // the server's time of the last question that was answered
  #news = 0; // and of the newest thing heard since
  #timer = 0;
  #probe = 0;

  /**
   * Asks while `may()`. Tells each answer as the event `{type: "sources", answer, note, at, offset}`, where `note` is
   * why there is no `answer`, and that the server has returned after a silence.
   */
  constructor(clock, may, onAnswer, onReturn) {
    this.#clock = clock;
    this.#may = may;
    this.#onAnswer = onAnswer;
    this.#onReturn = onReturn;
  }

  /** There is news of the server's time `time` (ms): asks, unless the last answer is younger. */
  soon(time) {
    if (time > this.#news) this.#news = time;
    if (this.#timer || this.#news <= this.#known) return;
    const past = Date.now() - this.#asked;
    const wait = Math.max(LEAST - past, Math.random() * SPREAD * Math.min(past, LONG));
    this.#timer = setTimeout(() => this.#askOfNews(), wait);
  }

  /** The stream's state, as Connection tells it. */
  link({ state }) {
    clearInterval(this.#probe);
    if (state === "connecting" || state === "full") this.#ask();
    if (state === "reconnecting" || state === "waiting") this.#probe = setInterval(() => this.#ask(), PROBE);
  }

  stop() {
    clearInterval(this.#probe);
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  #askOfNews() {
    this.#timer = 0;
    if (this.#news > this.#known) this.#ask();
  }

  async #ask() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (!this.#may()) return;
    this.#asked = Date.now();
    this.#onAnswer({ type: "sources", ...(await this.#question()), offset: this.#clock.offset });
  }

  async #question() {
    try {
      const options = { cache: "no-store", signal: AbortSignal.timeout(PROBE) };
      const response = await fetch("sources", options);
      this.#clock.learn(response.headers);
      const now = this.#clock.now();
      this.#known = now - (Date.now() - this.#asked); // it may not know what has come since it was asked
      if (this.#silent) this.#onReturn();
      this.#silent = false;
      return response.ok
        ? { answer: await response.json(), note: "", at: now }
        : { note: `The server cannot say now (${response.status}). Asking again.` };
    } catch {
      this.#silent = true;
      return { note: "The server does not answer. Asking again." };
    }
  }
}
