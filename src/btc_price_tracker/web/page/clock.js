// The server's time. Ages must be right on a machine whose clock is wrong.

const TOLERANCE = 2_000; // ms: the Date header counts whole seconds, and answers take their time

export class ServerClock {
  #offset = 0;

  /** Learns from the Date header of an answer that has just arrived. */
  learn(headers) {
    const date = Date.parse(headers.get("date"));
    if (Number.isNaN(date)) return;
    const offset = date + 500 - Date.now();
    this.#offset = Math.abs(offset) < TOLERANCE ? 0 : offset;
  }

  /** Milliseconds since the epoch, as the server counts them. */
  now() {
    return Date.now() + this.#offset;
  }
}
