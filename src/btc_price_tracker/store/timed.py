"""A wrapper that measures the operations of any store."""

import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span, Store

T = TypeVar("T")


class Observe(Protocol):
    """Receives the name of an operation, its duration in seconds and whether it succeeded."""

    def __call__(self, operation: str, seconds: float, *, ok: bool) -> None:
        """Record one operation. Must not raise."""


class TimedStore:
    """Reports each operation of a store to `observe`, whether it returns or raises.

    A cancelled operation is not reported: it ended because its caller left, which says nothing about the store.
    """

    def __init__(
        self, store: Store, observe: Observe, monotonic: Callable[[], float] = time.perf_counter
    ) -> None:
        self._store = store
        self._observe = observe
        self._monotonic = monotonic

    async def append(self, ticks: list[Tick]) -> int:
        """See Store."""
        return await self._timed("append", self._store.append(ticks))

    async def span(self) -> Span:
        """See Store."""
        return await self._timed("span", self._store.span())

    async def get(self, tick_id: int) -> Tick | None:
        """See Store."""
        return await self._timed("get", self._store.get(tick_id))

    async def newest(self, limit: int) -> list[Tick]:
        """See Store."""
        return await self._timed("newest", self._store.newest(limit))

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """See Store."""
        return await self._timed("page", self._store.page(after, until, limit))

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """See Store."""
        return await self._timed("page_with_quotes", self._store.page_with_quotes(after, until, limit))

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        """See Store."""
        return await self._timed("ids", self._store.ids(after, until, skip, limit))

    async def candles(self, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
        """See Store."""
        return await self._timed("candles", self._store.candles(seconds, first, last, limit))

    async def prune(self, before: int) -> int:
        """See Store."""
        return await self._timed("prune", self._store.prune(before))

    async def describe(self) -> str:
        """See Store."""
        return await self._timed("describe", self._store.describe())

    async def close(self) -> None:
        """See Store."""
        return await self._timed("close", self._store.close())

    async def _timed(self, operation: str, call: Awaitable[T]) -> T:
        started = self._monotonic()
        try:
            result = await call
        except Exception:
            self._observe(operation, self._monotonic() - started, ok=False)
            raise
        self._observe(operation, self._monotonic() - started, ok=True)
        return result
