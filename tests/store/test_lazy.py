"""A store that can't be opened yet: StoreError until it can, then as any other."""

import asyncio

import pytest

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store import Span, Store
from btc_price_tracker.store.lazy import FAILURE_TTL, LazyStore
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.paging import pages
from live import a_tick


class Door:
    """Opens a store, once somebody lets it; counts the knocks, and answers them when it is told to."""

    def __init__(self, *, answers: bool = True) -> None:
        self.open = False
        self.knocks = 0
        self.time = 0.0
        self.kept_waiting = 0
        self.answers = asyncio.Event()
        if answers:
            self.answers.set()

    async def __call__(self) -> Store:
        self.knocks += 1
        self.kept_waiting += 1
        try:
            await self.answers.wait()
        finally:
            self.kept_waiting -= 1
        if not self.open:
            raise StoreError("nobody listens there")
        return MemoryStore(10)


def behind(door: Door) -> LazyStore:
    return LazyStore(door, lambda: door.time)


async def outcomes(*calls: asyncio.Task[Span]) -> list[str]:
    """What became of each, in words."""
    return [str(each) for each in await asyncio.gather(*calls, return_exceptions=True)]


async def asked(store: Store, times: int) -> list[asyncio.Task[Span]]:
    """So many callers, each of whom awaits an answer by now."""
    calls = [asyncio.create_task(store.span()) for _ in range(times)]
    for _ in range(3):
        await asyncio.sleep(0)
    return calls


async def test_it_fails_until_it_can_be_opened() -> None:
    door = Door()
    store = behind(door)
    with pytest.raises(StoreError, match="nobody listens"):
        await store.span()
    door.time += FAILURE_TTL
    with pytest.raises(StoreError, match="nobody listens"):
        await store.append([a_tick(1)])
    door.open = True
    door.time += FAILURE_TTL
    assert await store.append([a_tick(1)]) == 1
    assert (await store.span())[:2] == (1, 1)
    assert await store.page_with_quotes(0, None, 5) == [a_tick(1)]
    assert "memory" in await store.describe()
    assert [tick.id async for page in pages(store, 0) for tick in page] == [1]
    assert await store.get(1) == a_tick(1)
    assert await store.newest(5) == [a_tick(1)]
    assert len(await store.candles(60, 0, 100, 5)) == 1
    assert await store.prune(2) == 1


async def test_all_who_ask_await_one_attempt_and_are_told_together() -> None:
    door = Door(answers=False)
    store = behind(door)
    calls = await asked(store, 10)
    door.answers.set()
    assert await outcomes(*calls) == ["nobody listens there"] * 10
    assert door.knocks == 1


async def test_who_asks_just_after_it_failed_is_told_at_once_and_later_ones_knock_again() -> None:
    door = Door()
    store = behind(door)
    assert await outcomes(*await asked(store, 1)) == ["nobody listens there"]
    door.open = True
    door.time += FAILURE_TTL / 2
    assert await outcomes(*await asked(store, 2)) == ["nobody listens there"] * 2
    assert door.knocks == 1
    door.time += FAILURE_TTL / 2
    assert await store.span() == Span(0, 0, 0)
    assert door.knocks == 2


async def test_it_is_opened_once_however_many_ask() -> None:
    door = Door()
    door.open = True
    store = behind(door)
    await asyncio.gather(*(store.span() for _ in range(10)))
    await store.span()
    assert door.knocks == 1


async def test_a_caller_who_gives_up_leaves_the_attempt_to_the_others() -> None:
    door = Door(answers=False)
    door.open = True
    first, second = await asked(store := behind(door), 2)
    first.cancel()
    await asyncio.wait({first})
    door.answers.set()
    assert await second == Span(0, 0, 0)
    assert door.knocks == 1
    await store.close()


async def test_closing_ends_an_attempt_that_is_under_way_and_tells_who_awaits_it() -> None:
    door = Door(answers=False)
    calls = await asked(store := behind(door), 2)
    await store.close()
    assert door.kept_waiting == 0
    assert await outcomes(*calls) == ["the store is closed"] * 2
    with pytest.raises(StoreError, match="the store is closed"):
        await store.span()
    await store.close()
    assert door.knocks == 1


async def test_a_store_that_comes_while_closing_is_closed() -> None:
    brought = MemoryStore(10)

    async def stubborn() -> Store:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return brought
        raise AssertionError

    store = LazyStore(stubborn)
    (call,) = await asked(store, 1)
    await store.close()
    assert call.done()
    with pytest.raises(StoreError, match="the store is closed"):
        await brought.span()


async def test_a_store_that_never_came_can_be_closed() -> None:
    await LazyStore(Door()).close()
