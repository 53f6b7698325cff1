"""Ticks of an outage are queued and written once the store recovers."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.outbox import Outbox, OutboxLimits
from btc_price_tracker.testing import ManualClock, eventually
from live import a_tick


class Flaky(MemoryStore):
    """A store that fails or hangs on demand; it counts appends."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.bug: Exception | None = None
        self.down = False
        self.hanging = False
        self.released = asyncio.Event()
        self.appends = 0

    async def append(self, ticks: list[Tick]) -> int:
        self.appends += 1
        if self.bug:
            raise self.bug
        if self.down:
            raise StoreError("the disk is full")
        if self.hanging:
            await self.released.wait()
        return await super().append(ticks)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> Flaky:
    return Flaky()


@pytest.fixture
async def outbox(store: Flaky, clock: ManualClock, request: pytest.FixtureRequest) -> AsyncIterator[Outbox]:
    limits: OutboxLimits = getattr(request, "param", OutboxLimits())
    outbox = Outbox(store, clock, size=5, limits=limits)
    recovering = asyncio.create_task(outbox.recover())
    yield outbox
    recovering.cancel()


async def ids(store: Flaky) -> list[int]:
    return [tick.id for tick in await store.newest(100)]


async def test_tick_is_stored_before_keep_returns(outbox: Outbox, store: Flaky) -> None:
    await outbox.keep(a_tick(1))
    assert await ids(store) == [1]
    assert outbox.fault is None


async def test_ticks_of_an_outage_are_written_in_order(
    outbox: Outbox, store: Flaky, clock: ManualClock
) -> None:
    await outbox.keep(a_tick(1))
    store.down = True
    for tick_id in (2, 3, 4):
        await outbox.keep(a_tick(tick_id))
    assert outbox.fault == "the disk is full"
    assert len(outbox) == 3
    store.down = False
    await clock.advance(1)
    assert await ids(store) == [1, 2, 3, 4]
    assert (outbox.lost, len(outbox)) == (0, 0)


async def test_tick_is_only_queued_while_the_store_fails(outbox: Outbox, store: Flaky) -> None:
    store.down = True
    await outbox.keep(a_tick(1))
    appends = store.appends
    await outbox.keep(a_tick(2))
    assert store.appends == appends


async def test_overflow_drops_the_oldest_and_counts_it(
    outbox: Outbox, store: Flaky, clock: ManualClock
) -> None:
    store.down = True
    for tick_id in range(1, 9):
        await outbox.keep(a_tick(tick_id))
    assert outbox.lost == 3
    store.down = False
    await clock.advance(1)
    assert await ids(store) == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("outbox", [OutboxLimits(write_timeout=0.05)], indirect=True)
async def test_append_that_hangs_times_out_and_is_retried(
    outbox: Outbox, store: Flaky, clock: ManualClock
) -> None:
    store.hanging = True
    await outbox.keep(a_tick(1))
    assert outbox.fault == "no response within 0.05 s"
    store.hanging = False
    await clock.advance(1)
    assert await ids(store) == [1]


@pytest.mark.parametrize("bug", [KeyError("price"), TimeoutError()], ids=repr)
async def test_bug_in_the_store_is_logged_once_with_traceback(
    outbox: Outbox, store: Flaky, clock: ManualClock, bug: Exception
) -> None:
    store.bug = bug
    with capture_logs() as logs:
        await outbox.keep(a_tick(1))
        await clock.advance(3)
    assert outbox.fault == f"bug in the store ({type(bug).__name__}); see its traceback in the log"
    assert [entry["exc_info"] for entry in logs] == [bug]
    store.bug = None
    await clock.advance(1)
    assert await ids(store) == [1]


async def test_bug_after_another_failure_is_logged_with_traceback(
    outbox: Outbox, store: Flaky, clock: ManualClock
) -> None:
    store.down = True
    with capture_logs() as logs:
        await outbox.keep(a_tick(1))
        store.bug = KeyError("price")
        await clock.advance(2)
    assert [entry["exc_info"] for entry in logs] == [None, store.bug]


async def test_rejected_tick_blocks_others_until_it_overflows(
    outbox: Outbox, store: Flaky, clock: ManualClock
) -> None:
    await outbox.keep(a_tick(1, "1.001"))
    assert outbox.fault == "bug in the store (ValueError); see its traceback in the log"
    for tick_id in range(2, 7):
        await outbox.keep(a_tick(tick_id))
    await clock.advance(1)
    assert await ids(store) == [2, 3, 4, 5, 6]
    assert list(outbox.lost_ranges) == [(1, 1)]


async def test_each_overflowing_outage_leaves_one_lost_range(
    outbox: Outbox, store: Flaky, clock: ManualClock
) -> None:
    for outage in (range(1, 9), range(11, 17)):
        store.down = True
        for tick_id in outage:
            await outbox.keep(a_tick(tick_id))
        store.down = False
        await clock.advance(1)
        await outbox.keep(a_tick(outage[-1] + 1))
    assert list(outbox.lost_ranges) == [(1, 3), (11, 11)]
    assert await ids(store) == [*range(4, 10), *range(12, 18)]


async def test_close_writes_queued_ticks(outbox: Outbox, store: Flaky) -> None:
    store.down = True
    for tick_id in (1, 2):
        await outbox.keep(a_tick(tick_id))
    store.down = False
    await outbox.close()
    assert await ids(store) == [1, 2]


async def test_close_logs_ticks_that_were_not_stored(outbox: Outbox, store: Flaky) -> None:
    store.down = True
    for tick_id in (1, 2):
        await outbox.keep(a_tick(tick_id))
    with capture_logs() as logs:
        await outbox.close()
    assert [(entry["log_level"], entry["waiting"], entry["reason"]) for entry in logs] == [
        ("warning", 2, "the disk is full")
    ]


@pytest.mark.parametrize("outbox", [OutboxLimits(close_timeout=0.05)], indirect=True)
async def test_close_times_out_on_a_store_that_hangs(outbox: Outbox, store: Flaky) -> None:
    store.down = True
    await outbox.keep(a_tick(1))
    store.down, store.hanging = False, True
    with capture_logs() as logs:
        async with asyncio.timeout(4):
            await outbox.close()
    assert [entry["waiting"] for entry in logs] == [1]


@pytest.mark.parametrize("outbox", [OutboxLimits(write_timeout=0.01)], indirect=True)
async def test_close_waits_longer_than_an_append(outbox: Outbox, store: Flaky) -> None:
    store.hanging = True
    await outbox.keep(a_tick(1))
    appends = store.appends
    closing = asyncio.create_task(outbox.close())
    await eventually(lambda: store.appends > appends)
    await asyncio.sleep(0.05)  # more than write_timeout
    store.released.set()
    await closing
    assert await ids(store) == [1]
