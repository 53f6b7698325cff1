"""A store that can't be opened yet: StoreError until it can, then as any other."""

import asyncio

import pytest

from btc_price_tracker.store import Store, StoreError
from btc_price_tracker.store.late import LateStore
from btc_price_tracker.store.memory import MemoryStore
from live import a_tick


class Door:
    """Opens a store, once somebody lets it; counts the knocks."""

    def __init__(self) -> None:
        self.open = False
        self.knocks = 0

    async def __call__(self) -> Store:
        self.knocks += 1
        await asyncio.sleep(0)
        if not self.open:
            raise StoreError("nobody listens there")
        return MemoryStore(10)


async def test_it_fails_until_it_can_be_opened() -> None:
    door = Door()
    store = LateStore(door)
    with pytest.raises(StoreError, match="nobody listens"):
        await store.span()
    with pytest.raises(StoreError, match="nobody listens"):
        await store.append([a_tick(1)])
    door.open = True
    await store.append([a_tick(1)])
    assert (await store.span())[:2] == (1, 1)
    assert [tick.id async for page in store.since(0) for tick in page] == [1]
    assert await store.get(1) == a_tick(1)
    assert await store.newest(5) == [a_tick(1)]
    assert len(await store.candles(60, 0, 100, 5)) == 1
    assert await store.prune(2) == 1


async def test_it_is_opened_once_however_many_ask() -> None:
    door = Door()
    door.open = True
    store = LateStore(door)
    await asyncio.gather(*(store.span() for _ in range(10)))
    assert door.knocks == 1


async def test_a_store_that_never_came_can_be_closed() -> None:
    await LateStore(Door()).close()
