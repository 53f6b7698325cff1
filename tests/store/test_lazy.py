"""A LazyStore raises StoreError until its store can be opened."""

import asyncio

import pytest

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store import Span, Store
from btc_price_tracker.store.lazy import FAILURE_TTL, LazyStore
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.paging import pages
from live import a_tick


class Opener:
    """Fails unless `is_up`, and blocks unless `responds` is set; counts attempts."""

    def __init__(self, *, responds: bool = True) -> None:
        self.is_up = False
        self.attempts = 0
        self.time = 0.0
        self.pending = 0
        self.responds = asyncio.Event()
        if responds:
            self.responds.set()

    async def __call__(self) -> Store:
        self.attempts += 1
        self.pending += 1
        try:
            await self.responds.wait()
        finally:
            self.pending -= 1
        if not self.is_up:
            raise StoreError("connection refused")
        return MemoryStore(10)


def lazy(opener: Opener) -> LazyStore:
    return LazyStore(opener, monotonic=lambda: opener.time)


async def outcomes(*calls: asyncio.Task[Span]) -> list[str]:
    """The result or error of each as text."""
    return [str(each) for each in await asyncio.gather(*calls, return_exceptions=True)]


async def callers(store: Store, times: int) -> list[asyncio.Task[Span]]:
    """This many calls of span(), each of which waits for the attempt by now."""
    calls = [asyncio.create_task(store.span()) for _ in range(times)]
    for _ in range(3):
        await asyncio.sleep(0)
    return calls


async def test_operations_fail_until_the_store_can_be_opened() -> None:
    opener = Opener()
    store = lazy(opener)
    with pytest.raises(StoreError, match="refused"):
        await store.span()
    opener.time += FAILURE_TTL
    with pytest.raises(StoreError, match="refused"):
        await store.append([a_tick(1)])
    opener.is_up = True
    opener.time += FAILURE_TTL
    assert await store.append([a_tick(1)]) == 1
    assert (await store.span())[:2] == (1, 1)
    assert await store.page_with_quotes(0, None, 5) == [a_tick(1)]
    assert "memory" in await store.describe()
    assert [tick.id async for page in pages(store, 0) for tick in page] == [1]
    assert await store.get(1) == a_tick(1)
    assert await store.newest(5) == [a_tick(1)]
    assert len(await store.candles(60, 0, 100, 5)) == 1
    assert await store.prune(2) == 1


async def test_concurrent_callers_share_one_attempt() -> None:
    opener = Opener(responds=False)
    store = lazy(opener)
    calls = await callers(store, 10)
    opener.responds.set()
    assert await outcomes(*calls) == ["connection refused"] * 10
    assert opener.attempts == 1


async def test_open_failure_is_cached_briefly() -> None:
    opener = Opener()
    store = lazy(opener)
    assert await outcomes(*await callers(store, 1)) == ["connection refused"]
    opener.is_up = True
    opener.time += FAILURE_TTL / 2
    assert await outcomes(*await callers(store, 2)) == ["connection refused"] * 2
    assert opener.attempts == 1
    opener.time += FAILURE_TTL / 2
    assert await store.span() == Span(0, 0, 0)
    assert opener.attempts == 2


async def test_store_is_opened_once() -> None:
    opener = Opener()
    opener.is_up = True
    store = lazy(opener)
    await asyncio.gather(*(store.span() for _ in range(10)))
    await store.span()
    assert opener.attempts == 1


async def test_cancelled_caller_does_not_cancel_the_attempt() -> None:
    opener = Opener(responds=False)
    opener.is_up = True
    first, second = await callers(store := lazy(opener), 2)
    first.cancel()
    await asyncio.wait({first})
    opener.responds.set()
    assert await second == Span(0, 0, 0)
    assert opener.attempts == 1
    await store.close()


async def test_close_cancels_an_attempt_in_progress() -> None:
    opener = Opener(responds=False)
    calls = await callers(store := lazy(opener), 2)
    await store.close()
    assert opener.pending == 0
    assert await outcomes(*calls) == ["the store is closed"] * 2
    with pytest.raises(StoreError, match="the store is closed"):
        await store.span()
    await store.close()
    assert opener.attempts == 1


async def test_store_opened_during_close_is_closed() -> None:
    opened = MemoryStore(10)

    async def stubborn() -> Store:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return opened
        raise AssertionError

    store = LazyStore(stubborn)
    (call,) = await callers(store, 1)
    await store.close()
    assert call.done()
    with pytest.raises(StoreError, match="the store is closed"):
        await opened.span()


async def test_store_that_was_never_opened_can_be_closed() -> None:
    await LazyStore(Opener()).close()
