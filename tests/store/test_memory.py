"""MemoryStore: eviction at its capacity, and candles in a thread."""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from decimal import Decimal

import pytest

from btc_price_tracker.price.candles import Candle, roll_up
from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store import Span, memory, open_store
from btc_price_tracker.testing import eventually


def ticks(*tick_ids: int) -> list[Tick]:
    return [Tick(each, Decimal("1.00"), Status.OK, 3, Decimal("0.10"), 0, "vote3/1") for each in tick_ids]


async def test_oldest_ticks_are_evicted_and_count_as_dropped() -> None:
    store = await open_store("memory://", capacity=3)
    await store.append(ticks(1, 2, 3))
    assert await store.span() == Span(1, 3, 0)
    await store.append(ticks(4, 5))
    assert await store.span() == Span(3, 5, 2)
    assert await store.get(2) is None


async def test_batch_above_capacity_keeps_its_newest() -> None:
    store = await open_store("memory://", capacity=2)
    await store.append(ticks(3, 9, 1, 7))
    assert await store.newest(9) == ticks(7, 9)
    assert await store.span() == Span(7, 9, 3)


async def test_oldest_tick_is_not_stored_at_capacity() -> None:
    store = await open_store("memory://", capacity=2)
    await store.append(ticks(5, 6))
    await store.append(ticks(4))
    assert await store.span() == Span(5, 6, 4)


async def test_candles_do_not_block_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def slow(several: Iterable[Tick], seconds: int) -> Iterator[Candle]:
        begun.set()
        assert goes_on.wait(30)
        return roll_up(several, seconds)

    monkeypatch.setattr(memory, "roll_up", slow)
    store = await open_store("memory://", capacity=3)
    await store.append(ticks(1, 2, 3))
    charting = asyncio.create_task(store.candles(60, 0, 60, 9))
    await asyncio.to_thread(begun.wait, 30)
    await store.append(ticks(4))
    goes_on.set()
    (candle,) = await charting
    assert candle.count == 2  # 1 was evicted meanwhile


async def test_cancelled_candles_stop_rolling_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    rest: list[Tick] = []

    def slowly(ticks: Iterator[Tick], _: int) -> list[Candle]:
        next(ticks)
        begun.set()
        go_on.wait(30)
        rest.extend(ticks)
        ended.set()
        return []

    monkeypatch.setattr(memory, "roll_up", slowly)
    store = await open_store("memory://", capacity=10)
    await store.append(ticks(*range(1, 10)))
    asking = asyncio.create_task(store.candles(60, 0, 1000, 10))
    await eventually(begun.is_set)
    asking.cancel()
    await asyncio.wait({asking})
    go_on.set()
    await eventually(ended.is_set)
    assert not rest
