"""Candles read from a database in steps that are bounded by id, however many prices and gaps there are.

One query over the entire range would read all of it, however few candles are wanted; one query per candle would be
thousands. So a step spans as many candles as are still wanted, at the density of the previous step, and at most twice
as many as that step. Between two steps the next piece is looked up, which costs the same for a gap of any length.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.store.rollup import candle, query_parameters


class Pieces(Protocol):
    """The pieces that candles are built from: ticks, or sums of them, each at one id."""

    @property
    def longest(self) -> int:
        """The maximum span of a step in ms: what the database reads in a fraction of a second."""

    async def first(self, start: int, end: int) -> int | None:
        """The lowest id of a piece with start ≤ id < end."""

    async def sums(self, start: int, end: int, width: int, limit: int) -> Sequence[Iterable[int]]:
        """One row, as candle() reads it, for each `width` ms in [start, end) with pieces, oldest first."""


async def candles_in_steps(pieces: Pieces, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
    """The oldest `limit` candles of `seconds` that begin in [first, last] seconds."""
    start, end, width, limit = query_parameters(seconds, first, last, limit)
    found: list[Candle] = []
    reach = limit  # number of candles that the next step may span
    while len(found) < limit and (at := await pieces.first(start, end)) is not None:
        begin = at // width * width
        start = min(end, begin + max(min(reach, pieces.longest // width), 1) * width)
        rows = await pieces.sums(begin, start, width, limit - len(found))
        found += map(candle, rows)
        spanned = -(-(start - begin) // width)
        # There is no row where all pieces were pruned meanwhile.
        reach = min(2 * spanned, -(-(limit - len(found)) * spanned // max(len(rows), 1)))
    return found
