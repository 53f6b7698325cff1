// The server's time. Ages must be right on a machine whose clock is wrong.

const TOLERANCE = 2_000; // ms: the Date header counts whole seconds, and answers take their time

const JUMP = 10_000; // ms: an hour's history that begins so much too late shows it

export class ServerClock {
  #onBack;
  #offset = 0;

  /** Tells when it finds that it was well ahead: times that it gave may lie in the server's future. */
  constructor(onBack) {
    this.#onBack = onBack;
  }

  /** Learns from the Date header of an answer that has just arrived. */
  learn(headers) {
    const date = Date.parse(headers.get("date"));
    if (Number.isNaN(date)) return;
    const offset = date + 500 - Date.now();
    this.offset = Math.abs(offset) < TOLERANCE ? 0 : offset;
  }

  /** Milliseconds by which the server's time is ahead of this machine's. */
  get offset() {
    return this.#offset;
  }

  set offset(offset) {
    const before = this.#offset;
    this.#offset = offset;
    if (before - offset > JUMP) this.#onBack();
  }

  /** Milliseconds since the epoch, as the server counts them. */
  now() {
    return Date.now() + this.#offset;
  }
}
