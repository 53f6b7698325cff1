"""An instance while the broker fails: what it says, when it polls by itself, and how it comes back."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from btc_price_tracker import pipeline
from btc_price_tracker.broker.alone import ALONE, Alone
from btc_price_tracker.broker.link import Link
from btc_price_tracker.errors import BrokerUnavailable
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Status, Update
from btc_price_tracker.testing import ManualClock, eventually
from fanout.recorder import Recorder
from live import a_tick


def update(tick_id: int, status: Status = Status.OK) -> Update:
    return Update(status, "3 exchanges agree.", a_tick(tick_id, status=status))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.OK, Status.DEGRADED),
        (Status.SINGLE_SOURCE, Status.SINGLE_SOURCE),
        (Status.STALE, Status.STALE),
    ],
)
async def test_price_of_one_instance_is_degraded_at_best(status: Status, expected: Status) -> None:
    shown: list[Update] = []
    await Alone(shown.append, size=10).publish(update(1, status))
    (published,) = shown
    assert published.tick is not None
    assert (published.status, published.tick.status) == (expected, expected)
    assert published.reason == f"{ALONE}3 exchanges agree."


async def test_prices_are_kept_until_taken() -> None:
    alone = Alone(lambda _: None, size=2)
    await alone.publish(Update(Status.STALE, "No price yet."))
    for tick_id in (1, 2, 3):
        await alone.publish(update(tick_id))
    assert [each.tick and each.tick.id for each in alone.take()] == [2, 3]
    assert alone.take() == []


async def test_link_logs_an_outage_once_and_its_end() -> None:
    clock = ManualClock()
    link = Link(clock)
    with capture_logs() as logs:
        link.recover()
        link.fail("connection refused")
        await clock.advance(4)
        link.fail("no answer")
        assert (link.fault, link.outage) == ("no answer", 4)
        link.recover()
    assert [entry["event"] for entry in logs] == ["broker failed", "broker recovered"]
    assert (logs[1]["seconds"], link.outage) == (4.0, 0.0)


def test_link_ignores_ticks_that_are_not_newer() -> None:
    link = Link(ManualClock())
    for tick_id in (5, 5, 3, 7):
        link.received(a_tick(tick_id))
    assert [tick.id for tick in link.recent] == [5, 7]
    assert link.newest == 7


class Broken:
    """A broker that fails as soon as its updates are taken, and can be followed again."""

    def __init__(self, *rounds: Sequence[Update]) -> None:
        self.rounds = list(rounds)
        self.after: list[int] = []

    async def follow(self, after: int) -> AsyncGenerator[Update, None]:
        self.after.append(after)
        for each in self.rounds.pop(0) if self.rounds else ():
            yield each
        if not self.rounds:
            await asyncio.get_running_loop().create_future()
        raise BrokerUnavailable("connection closed")


@asynccontextmanager
async def delivering(broker: Broken, hub: Hub, link: Link, alone: Alone) -> AsyncIterator[None]:
    task = asyncio.create_task(pipeline.deliver(broker, hub, link, alone))  # type: ignore[arg-type] # only follow
    yield
    task.cancel()


async def test_follower_starts_again_after_its_newest_id() -> None:
    clock = ManualClock()
    hub, link = Hub(Ring(100), clock, 15), Link(clock)
    broker = Broken([update(1), update(2)], [update(3)])
    async with delivering(broker, hub, link, Alone(hub.publish, size=10)):
        await eventually(lambda: link.fault is not None)
        await clock.advance(2)
        await eventually(lambda: hub.newest == 3)
    assert broker.after == [0, 2]
    assert link.fault is None


async def test_what_was_published_alone_is_forgotten_for_what_others_published() -> None:
    clock = ManualClock()
    hub, link = Hub(Ring(100), clock, 15), Link(clock)
    alone = Alone(hub.publish, size=10)
    broker = Broken([update(1)], [update(2), update(30)])
    async with delivering(broker, hub, link, alone):
        await eventually(lambda: link.fault is not None)
        await alone.publish(update(20))
        await clock.advance(2)
        await eventually(lambda: hub.newest == 30)
    assert alone.take() == []
    assert [tick.id for tick in link.recent] == [1, 2, 30]


async def test_updates_that_are_put_back_precede_newer_ones() -> None:
    alone = Alone(lambda _: None, size=3)
    for tick_id in (1, 2):
        await alone.publish(update(tick_id))
    taken = alone.take()
    await alone.publish(update(3))
    alone.put_back(taken[1:])
    assert [each.tick and each.tick.id for each in alone.take()] == [2, 3]


async def test_ticks_that_the_broker_lost_are_announced_as_a_gap() -> None:
    clock = ManualClock()
    hub, link, stream = Hub(Ring(100), clock, 15), Link(clock), Recorder()
    missed = replace(update(40), previous=30)
    broker = Broken([update(1)], [missed])
    hub.join(stream, 0)
    async with delivering(broker, hub, link, Alone(hub.publish, size=10)):
        await eventually(lambda: link.fault is not None)
        await clock.advance(2)
        await eventually(lambda: hub.newest == 40)
    assert stream.ids == [1, 40]
    assert b'"from":2,"to":30' in stream.taken
