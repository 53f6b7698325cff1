"""memory:// — the last ticks, gone with the process."""

import asyncio
from bisect import bisect_left, bisect_right, insort
from itertools import islice, takewhile

from msgspec.structs import replace

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.candles import Candle, roll_up
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span
from btc_price_tracker.store.integers import check_cents
from btc_price_tracker.store.rollup import query_parameters


class MemoryStore:
    """At most `capacity` ticks with their quotes; the oldest make room for new ones."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._ids: list[int] = []  # sorted
        self._ticks: dict[int, Tick] = {}
        self._dropped = 0
        self._closed = False

    async def append(self, ticks: list[Tick]) -> int:
        """Keep these ticks, and the newest `capacity` of all."""
        self._check_open()
        before = len(self._ids)
        for tick in ticks:
            check_cents(tick)  # refuse what a database would, before anything is kept
        for tick in ticks:
            if tick.id not in self._ticks:
                self._ticks[tick.id] = tick
                insort(self._ids, tick.id)
        new = len(self._ids) - before
        self._drop(len(self._ids) - self._capacity)
        return new

    async def span(self) -> Span:
        """What is held now."""
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
        return self._without_quotes(self._page(after, until, limit))

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The same with the quotes of each tick."""
        return [self._ticks[tick_id] for tick_id in self._page(after, until, limit)]

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
        # In a thread, for the loop to go on meanwhile. A tick that leaves meanwhile is None, and left out.
        ticks = filter(None, map(self._ticks.get, ids))
        wanted = True  # False once the caller is cancelled
        try:
            return await asyncio.to_thread(
                lambda: list(islice(roll_up(takewhile(lambda _: wanted, ticks), seconds), limit))
            )
        finally:
            wanted = False

    async def prune(self, before: int) -> int:
        """Drop ticks with id < before."""
        self._check_open()
        return self._drop(bisect_left(self._ids, before))

    async def describe(self) -> str:
        """How many it holds at most."""
        self._check_open()
        return f"memory, for the newest {self._capacity:,} prices"

    async def close(self) -> None:
        """Forget everything."""
        self._closed = True
        self._ids = []
        self._ticks = {}

    def held(self) -> list[Tick]:
        """All ticks with their quotes, in any order, which takes no time to speak of."""
        return list(self._ticks.values())

    def _page(self, after: int, until: int | None, limit: int) -> list[int]:
        """The ids of a page."""
        self._check_open()
        start = bisect_right(self._ids, after)
        stop = len(self._ids) if until is None else bisect_right(self._ids, until)
        return self._ids[start : min(stop, start + limit)]

    def _without_quotes(self, ids: list[int]) -> list[Tick]:
        return [replace(self._ticks[tick_id], quotes=()) for tick_id in ids]

    def _drop(self, count: int) -> int:
        """Take the oldest `count` out, if that is any; returns how many went."""
        gone = self._ids[: max(0, count)]
        for tick_id in gone:
            del self._ticks[tick_id]
        if gone:
            del self._ids[: len(gone)]
            self._dropped = max(self._dropped, gone[-1])
        return len(gone)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")
