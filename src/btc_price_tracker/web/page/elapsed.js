// Time that has passed since something arrived.

/** The moment `ago` ms before now. */
export const moment = (ago = 0) => ({ monotonic: performance.now() - ago, wall: Date.now() - ago });

/**
 * Milliseconds since a moment. By the monotonic clock, which nobody sets; by the wall clock where that says more, since
 * the monotonic clock of some systems stands still while they sleep.
 */
export const elapsed = ({ monotonic, wall }) => Math.max(performance.now() - monotonic, Date.now() - wall);
