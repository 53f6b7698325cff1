// The server's time. Ages must be right on a machine whose clock is wrong, or is set while the page is open.

const TOLERANCE = 2_000; // ms: the Date header counts whole seconds, and responses take their time

export class ServerClock {
  #server = Date.now(); // until it is known
  #since = performance.now();

  /** Whether the server has said what time it is. */
  known = false;

  /** Milliseconds since the epoch, as the server counts them. */
  now() {
    return this.#server + performance.now() - this.#since;
  }

  /** How long ago the server's time was `time` (ms); 0 where that is within the tolerance. */
  ago(time) {
    const past = this.now() - time;
    return past < TOLERANCE ? 0 : past;
  }

  set(now) {
    this.#server = now;
    this.#since = performance.now();
    this.known = true;
  }

  /** Learns from the Date header of a response that has just arrived. */
  learn(headers) {
    const date = Date.parse(headers.get("date")) + 500;
    if (Number.isNaN(date)) return;
    if (Math.abs(date - this.now()) > TOLERANCE) this.set(date);
    this.known = true;
  }

  /** The server has been at `time` (ms) already: it is no earlier now. */
  reach(time) {
    if (time > this.now()) this.set(time);
  }
}
