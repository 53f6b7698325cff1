// Time that has passed since something arrived.

/** The moment `ago` ms before now. */
export const moment = (ago = 0) => ({ monotonic: performance.now() - ago, wall: Date.now() - ago });

/**
 * Milliseconds since a moment. By the monotonic clock, which is never set; by the wall clock if that is further ahead, since
 * the monotonic clock of some systems stops during sleep.
 */
export const elapsed = ({ monotonic, wall }) => Math.max(performance.now() - monotonic, Date.now() - wall);
