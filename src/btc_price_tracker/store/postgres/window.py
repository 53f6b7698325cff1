"""The windows by which ticks are partitioned: four weeks each, counted from the epoch."""

from typing import NamedTuple

WINDOW = 28 * 86_400_000  # ms; a multiple of a quarter-hour, so that no piece of a candle spans two windows


class Window(NamedTuple):
    """The ids in [start, end)."""

    start: int
    end: int
