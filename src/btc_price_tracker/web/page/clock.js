// The server's time. Ages must be right on a machine whose clock is wrong, or is changed while the page is open.

const TOLERANCE = 2_000; // ms: the Date header has whole seconds, and responses take time

export class ServerClock {
  #server = Date.now(); // until it is known
  #since = performance.now();

  /** Whether the server's time is known. */
  known = false;

  /** Milliseconds since the epoch, as the server counts them. */
  now() {
    return this.#server + performance.now() - this.#since;
  }

  /** Milliseconds since the server's time was `time` (ms); 0 within the tolerance. */
  ago(time) {
    const past = this.now() - time;
    return past < TOLERANCE ? 0 : past;
  }

  set(now) {
    this.#server = now;
    this.#since = performance.now();
    this.known = true;
  }

  /** Sets the clock from the Date header of a response that has just arrived. */
  learn(headers) {
    const date = Date.parse(headers.get("date")) + 500;
    if (Number.isNaN(date)) return;
    if (Math.abs(date - this.now()) > TOLERANCE) this.set(date);
    this.known = true;
  }

  /** Advances the clock to `time` (ms), which the server has reached already. */
  reach(time) {
    if (time > this.now()) this.set(time);
  }
}
