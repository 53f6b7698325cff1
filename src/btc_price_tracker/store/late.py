"""A database that can't be reached when the service starts: prices needn't wait for it (DESIGN 6)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span, Store


class LateStore:
    """Opens its store when something is asked of it, and again until that succeeds; StoreError till then."""

    def __init__(self, open_it: Callable[[], Awaitable[Store]]) -> None:
        self._open = open_it
        self._store: Store | None = None
        self._opening = asyncio.Lock()

    async def append(self, ticks: list[Tick]) -> None:
        """See Store."""
        await (await self._opened()).append(ticks)

    async def span(self) -> Span:
        """See Store."""
        return await (await self._opened()).span()

    async def get(self, tick_id: int) -> Tick | None:
        """See Store."""
        return await (await self._opened()).get(tick_id)

    async def newest(self, limit: int) -> list[Tick]:
        """See Store."""
        return await (await self._opened()).newest(limit)

    async def since(self, after: int, until: int | None = None, page: int = 500) -> AsyncIterator[list[Tick]]:
        """See Store."""
        async for ticks in (await self._opened()).since(after, until, page):
            yield ticks

    async def candles(self, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
        """See Store."""
        return await (await self._opened()).candles(seconds, first, last, limit)

    async def prune(self, before: int) -> int:
        """See Store."""
        return await (await self._opened()).prune(before)

    async def close(self) -> None:
        """Close the store, if it was ever there."""
        if self._store is not None:
            await self._store.close()

    async def _opened(self) -> Store:
        async with self._opening:
            if self._store is None:
                self._store = await self._open()
            return self._store
