"""The windows of time by which ticks are partitioned: four weeks each, counted from the epoch."""

WINDOW = 28 * 86_400_000  # ms of ids; a multiple of a quarter of an hour, so that no candle's piece is cut
