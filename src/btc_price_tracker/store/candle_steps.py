"""Candles of a database, read in steps that are bounded by the id, however many prices and holes there are.

A query over all that was asked for would read as much, whatever it gives in the end; one a candle would be thousands.
So a step spans as many candles as are wanted, if they lie as close together as those of the step before, and at most
twice as many as that one. Between two steps the next piece is looked up, which takes the same for a hole of any length.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.store.rollup import candle, query_parameters


class Pieces(Protocol):
    """What candles are put together from: prices, or sums of them, each at one id."""

    @property
    def longest(self) -> int:
        """How many ms one step may span: what the database reads in a fraction of a second."""

    async def first(self, start: int, end: int) -> int | None:
        """The lowest id of a piece with start ≤ id < end."""

    async def sums(self, start: int, end: int, width: int, limit: int) -> Sequence[Iterable[int]]:
        """For each `width` ms in [start, end) that have pieces, oldest first, the row that candle() reads."""


async def candles_in_steps(pieces: Pieces, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
    """At most `limit` candles of `seconds` that begin in [first, last] seconds, oldest first."""
    start, end, width, limit = query_parameters(seconds, first, last, limit)
    found: list[Candle] = []
    reach = limit  # candles that the next step may span
    while len(found) < limit and (at := await pieces.first(start, end)) is not None:
        begin = at // width * width
        start = min(end, begin + max(min(reach, pieces.longest // width), 1) * width)
        rows = await pieces.sums(begin, start, width, limit - len(found))
        found += map(candle, rows)
        spanned = -(-(start - begin) // width)
        # No row where all pieces were dropped meanwhile.
        reach = min(2 * spanned, -(-(limit - len(found)) * spanned // max(len(rows), 1)))
    return found
