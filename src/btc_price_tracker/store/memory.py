"""memory:// — the newest ticks, lost when the process ends."""

import asyncio
from bisect import bisect_left, bisect_right, insort
from itertools import islice, takewhile

from msgspec.structs import replace

from btc_price_tracker.errors import StoreClosed
from btc_price_tracker.price.candles import Candle, roll_up
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span
from btc_price_tracker.store.integers import check_cents
from btc_price_tracker.store.rollup import query_parameters


class MemoryStore:
    """At most `capacity` ticks with their quotes; new ticks evict the oldest."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._ids: list[int] = []  # sorted
        self._ticks: dict[int, Tick] = {}
        self._dropped = 0
        self._closed = False

    async def append(self, ticks: list[Tick]) -> int:
        """Add ticks and keep the newest `capacity` of all."""
        self._check_open()
        before = len(self._ids)
        for tick in ticks:
            check_cents(tick)  # as databases do, and before any tick is added
        for tick in ticks:
            if tick.id not in self._ticks:
                self._ticks[tick.id] = tick
                insort(self._ids, tick.id)
        new = len(self._ids) - before
        self._drop(len(self._ids) - self._capacity)
        return new

    async def span(self) -> Span:
        """The range of ids that is stored now."""
        self._check_open()
        return Span(self._ids[0], self._ids[-1], self._dropped) if self._ids else Span(0, 0, self._dropped)

    async def get(self, tick_id: int) -> Tick | None:
        """The tick with this id and its quotes, or None."""
        self._check_open()
        return self._ticks.get(tick_id)

    async def newest(self, limit: int) -> list[Tick]:
        """The last `limit` ticks, oldest first, without their quotes."""
        self._check_open()
        return self._without_quotes(self._ids[max(0, len(self._ids) - limit) :])

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The oldest `limit` ticks with after < id (≤ until), oldest first, without their quotes."""
        return self._without_quotes(self._page_ids(after, until, limit))

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The same with the quotes of each tick."""
        return [self._ticks[tick_id] for tick_id in self._page_ids(after, until, limit)]

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        """Ids with after < id (≤ until), oldest first: at most `limit`, after skipping `skip`."""
        self._check_open()
        start = bisect_right(self._ids, after) + skip
        stop = len(self._ids) if until is None else bisect_right(self._ids, until)
        return self._ids[start : min(stop, start + limit)]

    async def candles(self, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
        """At most `limit` candles of `seconds` that begin in [first, last] seconds."""
        self._check_open()
        start, end, _, limit = query_parameters(seconds, first, last, limit)
        ids = self._ids[bisect_left(self._ids, start) : bisect_left(self._ids, end)]
        # In a thread, so that the event loop isn't blocked. A tick that is evicted meanwhile is None and left out.
        ticks = filter(None, map(self._ticks.get, ids))
        wanted = True  # False once the caller was cancelled
        try:
            return await asyncio.to_thread(
                lambda: list(islice(roll_up(takewhile(lambda _: wanted, ticks), seconds), limit))
            )
        finally:
            wanted = False

    async def prune(self, before: int) -> int:
        """Delete ticks with id < before."""
        self._check_open()
        return self._drop(bisect_left(self._ids, before))

    async def describe(self) -> str:
        """Its capacity."""
        self._check_open()
        return f"memory, the newest {self._capacity:,} prices"

    async def close(self) -> None:
        """Release the ticks."""
        self._closed = True
        self._ids = []
        self._ticks = {}

    def held(self) -> list[Tick]:
        """All ticks with their quotes, in any order: a shallow copy, quick enough for the event loop."""
        return list(self._ticks.values())

    def _page_ids(self, after: int, until: int | None, limit: int) -> list[int]:
        """The ids of a page, see `page`."""
        self._check_open()
        start = bisect_right(self._ids, after)
        stop = len(self._ids) if until is None else bisect_right(self._ids, until)
        return self._ids[start : min(stop, start + limit)]

    def _without_quotes(self, ids: list[int]) -> list[Tick]:
        return [replace(self._ticks[tick_id], quotes=()) for tick_id in ids]

    def _drop(self, count: int) -> int:
        """Remove the oldest `count` ticks, none if it isn't positive; returns their number."""
        removed = self._ids[: max(0, count)]
        for tick_id in removed:
            del self._ticks[tick_id]
        if removed:
            del self._ids[: len(removed)]
            self._dropped = max(self._dropped, removed[-1])
        return len(removed)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed
