"""Restoring returns the recent ticks that could be read, without a gap, and their floor."""

import asyncio

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.errors import SettingsError, StoreError
from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Tick
from btc_price_tracker.price.parameters import RECENT
from btc_price_tracker.settings import load
from btc_price_tracker.store import Span, Store
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.paging import PAGE
from btc_price_tracker.store.restore import restore
from live import a_tick

NOW = 1_764_000_000_000
IDS = [NOW - 10_000 * number for number in range(3 * PAGE, 0, -1)]


class Failing(MemoryStore):
    """A store whose operations in `fails` raise `error`."""

    def __init__(self, *fails: str) -> None:
        super().__init__(10_000)
        self.fails = fails
        self.error: Exception = StoreError("no response in time")

    def _try(self, operation: str) -> None:
        if operation in self.fails:
            raise self.error

    async def span(self) -> Span:
        self._try("span")
        return await super().span()

    async def newest(self, limit: int) -> list[Tick]:
        self._try("newest")
        return await super().newest(limit)

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        self._try("page_with_quotes")
        return await super().page_with_quotes(after, until, limit)

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        self._try("page")
        return await super().page(after, until, limit)


async def restored_ring(store: Store, size: int) -> tuple[Ring, Tick | None]:
    restored = await restore(store, size, NOW, sse.price)
    return Ring(size, restored.floor, restored.frames), restored.last


async def filled(*fails: str) -> Failing:
    store = Failing(*fails)
    await store.append([a_tick(tick_id) for tick_id in IDS])
    return store


@pytest.mark.parametrize(
    ("size", "first", "floor"),
    [(3 * PAGE, IDS[0], 0), (3 * PAGE + 1, IDS[0], 0), (PAGE + 7, IDS[-PAGE - 7], IDS[-PAGE - 7] - 1)],
)
async def test_ring_has_the_newest_ticks_and_their_floor(size: int, first: int, floor: int) -> None:
    ring, last = await restored_ring(await filled(), size)
    assert last == a_tick(IDS[-1])
    assert (ring.first, ring.last, ring.floor) == (first, IDS[-1], floor)
    assert ring.page(0, NOW, 10_000)[1].count(b"id:") == min(size, len(IDS))


async def test_pruned_ticks_are_below_the_floor() -> None:
    store = await filled()
    await store.prune(IDS[2])
    ring, _ = await restored_ring(store, 10_000)
    assert (ring.first, ring.floor) == (IDS[2], IDS[1])


async def test_empty_store_has_no_last_price_and_floor_zero() -> None:
    ring, last = await restored_ring(Failing(), 10)
    assert (ring.first, ring.last, ring.floor, last) == (0, 0, 0, None)


@pytest.mark.parametrize("error", [StoreError("no response in time"), KeyError("price")], ids=repr)
@pytest.mark.parametrize(
    ("fails", "held", "floor"),
    [("page", IDS[-PAGE:], IDS[-PAGE] - 1), ("newest", [], IDS[-1]), ("span", [], NOW - 1)],
)
async def test_failing_store_restores_the_pages_read_before(
    fails: str, held: list[int], floor: int, error: Exception
) -> None:
    store = await filled(fails)
    store.error = error
    with capture_logs() as logs:
        ring, last = await restored_ring(store, 10_000)
    assert (last and last.id, ring.first) == ((held[-1], held[0]) if held else (None, 0))
    assert ring.floor == floor
    assert [entry["read"] for entry in logs] == [len(held)]


async def test_restore_does_not_block_the_event_loop() -> None:
    turns = 0

    async def beat() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    beating = asyncio.create_task(beat())
    await restored_ring(await filled(), 10_000)
    assert turns >= len(IDS) / PAGE - 1
    beating.cancel()


def test_store_size_may_be_a_million() -> None:
    assert load({"store_size": "1000000"}).store_size == 1_000_000
    with pytest.raises(SettingsError, match="give 1000000 or less"):
        load({"store_size": "1000001"})


async def test_the_last_ticks_come_with_their_quotes() -> None:
    restored = await restore(await filled(), 1000, NOW, sse.price)
    assert [tick.id for tick in restored.recent] == IDS[-RECENT:]


async def test_unreadable_quotes_cost_no_history() -> None:
    with capture_logs() as logs:
        restored = await restore(await filled("page_with_quotes"), 1000, NOW, sse.price)
    assert [tick_id for tick_id, _ in restored.frames] == IDS[-1000:]
    assert [tick.id for tick in restored.recent] == IDS[-1:]
    assert [entry["event"] for entry in logs] == ["quotes not restored"]
