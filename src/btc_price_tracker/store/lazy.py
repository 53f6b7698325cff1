"""A database that is opened on first use, so that prices don't wait for it when the service starts."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from btc_price_tracker.errors import StoreClosed
from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span, Store

# Seconds for which a failed attempt to open the store is not repeated. Less than the retry delay of the outbox, so that
# each of its retries is a new attempt.
FAILURE_TTL = 0.9


class LazyStore:
    """Opens its store on the first operation and, while that fails, again on later ones; they raise StoreError.

    A database may take its time to refuse. So concurrent callers share one attempt, which outlives the cancellation of
    any of them, and its failure is cached briefly.
    """

    def __init__(
        self,
        opener: Callable[[], Awaitable[Store]],
        *,
        failure_ttl: float = FAILURE_TTL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opener = opener
        self._failure_ttl = failure_ttl
        self._monotonic = monotonic
        self._attempt: asyncio.Task[Store] | None = None  # the latest
        self._attempt_ended = 0.0  # monotonic time
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
        """Cancel an attempt in progress and close the store if it was opened. Idempotent."""
        self._closed = True
        if self._attempt is None:
            return
        self._attempt.cancel()
        await asyncio.wait({self._attempt})
        if not self._attempt.cancelled() and self._attempt.exception() is None:
            await self._attempt.result().close()

    async def _opened(self) -> Store:
        if self._closed:
            raise StoreClosed
        if self._attempt is None or self._has_expired(self._attempt):
            self._attempt = asyncio.create_task(self._try())
        attempt = self._attempt
        await asyncio.wait({attempt})
        if attempt.cancelled():
            raise StoreClosed
        return attempt.result()

    def _has_expired(self, attempt: asyncio.Task[Store]) -> bool:
        """Whether the attempt failed longer than the TTL ago."""
        return (
            attempt.done()
            and attempt.exception() is not None
            and self._monotonic() - self._attempt_ended >= self._failure_ttl
        )

    async def _try(self) -> Store:
        try:
            return await self._opener()
        finally:
            self._attempt_ended = self._monotonic()
