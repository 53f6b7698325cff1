"""Streams that have been open for long enough are closed, each at its own time, and resume by id."""

import asyncio

import pytest

from btc_price_tracker.fanout.ages import JITTER
from btc_price_tracker.fanout.counts import Reason
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.membership import HubLimits
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.testing import ManualClock
from fanout.recorder import Recorder

HOUR = 3600


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def watched(hub: Hub, clock: ManualClock, seconds: float) -> None:
    """Let the hub watch for so long."""
    watching = asyncio.create_task(hub.watch())
    await clock.sleeping()
    await clock.advance(seconds)
    watching.cancel()


async def test_old_streams_end_cleanly_and_not_all_at_once(clock: ManualClock) -> None:
    hub = Hub(Ring(10), clock, HOUR * 9, limits=HubLimits(max_age=HOUR))
    streams = [Recorder() for _ in range(100)]
    for stream in streams:
        hub.join(stream, 0)
    await watched(hub, clock, HOUR * (1 - JITTER) - 2)
    assert (hub.counts.closed[Reason.AGE], len(hub)) == (0, 100)
    await watched(hub, clock, HOUR * JITTER)
    assert 20 < hub.counts.closed[Reason.AGE] < 80
    await watched(hub, clock, HOUR * JITTER + 4)
    assert (hub.counts.closed[Reason.AGE], len(hub)) == (100, 0)
    assert {b"retry: " in stream.final_retry for stream in streams} == {True}


async def test_streams_that_left_are_forgotten(clock: ManualClock) -> None:
    hub = Hub(Ring(10), clock, HOUR * 9, limits=HubLimits(max_age=HOUR))
    stream = Recorder()
    hub.join(stream, 0)
    hub.leave(stream)
    await watched(hub, clock, 2 * HOUR)
    assert hub.counts.closed[Reason.AGE] == 0


async def test_stream_that_leaves_takes_no_other_with_it(clock: ManualClock) -> None:
    hub = Hub(Ring(10), clock, HOUR * 9, limits=HubLimits(max_age=10))
    streams = [Recorder() for _ in range(20)]  # more than there are seconds in which they may be due
    for stream in streams:
        hub.join(stream, 0)
    for stream in streams[:10]:
        hub.leave(stream)
    await watched(hub, clock, 20)
    assert (hub.counts.closed[Reason.AGE], len(hub)) == (10, 0)


async def test_lagging_stream_is_ended_once_it_has_caught_up(clock: ManualClock) -> None:
    hub = Hub(Ring(10), clock, HOUR * 9, limits=HubLimits(max_age=10, stall_timeout=HOUR))
    stream = Recorder(room=0)
    hub.join(stream, 0)
    await watched(hub, clock, 60)
    assert (hub.counts.closed[Reason.AGE], stream.closed) == (0, False)
    stream.make_room(hub)
    await watched(hub, clock, 3)
    assert (hub.counts.closed[Reason.AGE], len(hub)) == (1, 0)
    assert b"retry: " in stream.final_retry


async def test_lagging_stream_that_is_due_is_still_closed_when_it_stalls(clock: ManualClock) -> None:
    hub = Hub(Ring(10), clock, HOUR * 9, limits=HubLimits(max_age=10, stall_timeout=30))
    stream = Recorder(room=0)
    hub.join(stream, 0)
    await watched(hub, clock, 32)
    assert (hub.counts.closed[Reason.AGE], hub.counts.closed[Reason.STALLED], stream.closed) == (0, 1, True)
    await watched(hub, clock, 60)
    assert hub.counts.closed[Reason.AGE] == 0


async def test_without_a_maximum_no_stream_is_old(clock: ManualClock) -> None:
    hub = Hub(Ring(10), clock, HOUR * 24)
    hub.join(Recorder(), 0)
    await watched(hub, clock, 10 * HOUR)
    assert (hub.counts.closed[Reason.AGE], len(hub)) == (0, 1)
