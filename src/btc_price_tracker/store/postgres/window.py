"""The windows of time by which ticks are partitioned: four weeks each, counted from the epoch."""

from typing import NamedTuple

WINDOW = 28 * 86_400_000  # ms of ids; a multiple of a quarter of an hour, so that no candle's piece is cut


class Window(NamedTuple):
    """The ids from `start` up to, and without, `end`."""

    start: int
    end: int
