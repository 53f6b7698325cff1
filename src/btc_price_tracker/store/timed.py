"""A store whose operations are timed."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span, Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TimedStore:
    """Reports the duration of each operation of `store`, and whether it succeeded, to `observe`.

    A cancelled operation counts as failed: most often the timeout of its caller ended it.
    """

    store: Store
    observe: Callable[[str, float, bool], None]  # operation, seconds, success
    monotonic: Callable[[], float] = time.monotonic

    async def append(self, ticks: list[Tick]) -> int:
        """See Store."""
        return await self._timed("append", self.store.append(ticks))

    async def span(self) -> Span:
        """See Store."""
        return await self._timed("span", self.store.span())

    async def get(self, tick_id: int) -> Tick | None:
        """See Store."""
        return await self._timed("get", self.store.get(tick_id))

    async def newest(self, limit: int) -> list[Tick]:
        """See Store."""
        return await self._timed("newest", self.store.newest(limit))

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """See Store."""
        return await self._timed("page", self.store.page(after, until, limit))

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """See Store."""
        return await self._timed("page_with_quotes", self.store.page_with_quotes(after, until, limit))

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        """See Store."""
        return await self._timed("ids", self.store.ids(after, until, skip, limit))

    async def candles(self, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
        """See Store."""
        return await self._timed("candles", self.store.candles(seconds, first, last, limit))

    async def prune(self, before: int) -> int:
        """See Store."""
        return await self._timed("prune", self.store.prune(before))

    async def describe(self) -> str:
        """See Store."""
        return await self._timed("describe", self.store.describe())

    async def close(self) -> None:
        """See Store."""
        await self._timed("close", self.store.close())

    async def _timed(self, operation: str, result: Awaitable[T]) -> T:
        begun, succeeded = self.monotonic(), False
        try:
            value = await result
            succeeded = True
        finally:
            self.observe(operation, self.monotonic() - begun, succeeded)
        return value
