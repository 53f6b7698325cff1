"""A database that can't be reached when the service starts: prices needn't wait for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span, Store

FAILURE_TTL = (
    0.9  # seconds that a failure speaks for later callers; the outbox asks again after more than that
)


class LazyStore:
    """Opens its store when something is asked of it, and again until that succeeds; StoreError till then.

    A database may take its time to say no. So all who ask await one attempt, which none of them can cancel.
    """

    def __init__(
        self, open_it: Callable[[], Awaitable[Store]], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._open = open_it
        self._monotonic = monotonic
        self._attempt: asyncio.Task[Store] | None = None  # the last to open it
        self._ended = 0.0  # when that was over
        self._closed = False

    async def append(self, ticks: list[Tick]) -> int:
        """See Store."""
        return await (await self._opened()).append(ticks)

    async def span(self) -> Span:
        """See Store."""
        return await (await self._opened()).span()

    async def get(self, tick_id: int) -> Tick | None:
        """See Store."""
        return await (await self._opened()).get(tick_id)

    async def newest(self, limit: int) -> list[Tick]:
        """See Store."""
        return await (await self._opened()).newest(limit)

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """See Store."""
        return await (await self._opened()).page(after, until, limit)

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """See Store."""
        return await (await self._opened()).page_with_quotes(after, until, limit)

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        """See Store."""
        return await (await self._opened()).ids(after, until, skip, limit)

    async def candles(self, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
        """See Store."""
        return await (await self._opened()).candles(seconds, first, last, limit)

    async def prune(self, before: int) -> int:
        """See Store."""
        return await (await self._opened()).prune(before)

    async def describe(self) -> str:
        """See Store."""
        return await (await self._opened()).describe()

    async def close(self) -> None:
        """End an attempt that is under way, and close the store if there is one. Idempotent."""
        self._closed = True
        if self._attempt is None:
            return
        self._attempt.cancel()
        await asyncio.wait({self._attempt})
        if not self._attempt.cancelled() and self._attempt.exception() is None:
            await self._attempt.result().close()

    async def _opened(self) -> Store:
        if self._closed:
            raise StoreError("the store is closed")
        if self._attempt is None or self._is_spent(self._attempt):
            self._attempt = asyncio.create_task(self._try())
        attempt = self._attempt
        await asyncio.wait({attempt})
        if attempt.cancelled():
            raise StoreError("the store is closed")
        return attempt.result()

    def _is_spent(self, attempt: asyncio.Task[Store]) -> bool:
        """Has it failed, and not only just now?"""
        return (
            attempt.done()
            and attempt.exception() is not None
            and self._monotonic() - self._ended >= FAILURE_TTL
        )

    async def _try(self) -> Store:
        try:
            return await self._open()
        finally:
            self._ended = self._monotonic()
