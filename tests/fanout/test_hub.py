"""The hub with streams that take what the test lets them."""

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.counts import Reason
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.membership import DEFAULTS
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Status, Update
from btc_price_tracker.testing import ManualClock
from fanout.recorder import Recorder
from live import a_tick

HEARTBEAT = 15
SLICE, PAGE, STALL = DEFAULTS.slice, DEFAULTS.page, DEFAULTS.stall_timeout


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hub(clock: ManualClock) -> Hub:
    return Hub(Ring(1000), clock, HEARTBEAT)


@asynccontextmanager
async def watched(hub: Hub) -> AsyncIterator[None]:
    watch = asyncio.create_task(hub.watch())
    try:
        yield
    finally:
        watch.cancel()


def publish(hub: Hub, *ids: int, reason: str = "3 exchanges agree.") -> None:
    for tick_id in ids:
        hub.publish(Update(Status.OK, reason, a_tick(tick_id)))


def joined(hub: Hub, number: int = 1, after: int = 0) -> list[Recorder]:
    streams = [Recorder() for _ in range(number)]
    for stream in streams:
        hub.join(stream, after)
    return streams


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_joining_replays_and_goes_live_in_one_step(hub: Hub) -> None:
    publish(hub, 1, 2, 3)
    await settle()
    stream = Recorder()
    hub.join(stream, 1, opening=sse.retry(2000))
    assert stream.taken.startswith(sse.retry(2000))
    assert [name for name, _ in stream.events] == ["status", "price", "price"]
    publish(hub, 4)
    assert stream.ids == [2, 3, 4]
    assert stream.lag is None


async def test_a_status_that_was_told_is_not_told_again(hub: Hub) -> None:
    stream = Recorder()
    hub.join(stream, 0, sent_status=hub.sent_status)
    assert stream.taken == b""
    publish(hub, 1)
    publish(hub, 2)
    await settle()
    assert [name for name, _ in stream.events] == ["status", "price", "price"]


async def test_what_the_ring_has_lost_is_said_before_what_it_has(clock: ManualClock) -> None:
    hub = Hub(Ring(2), clock, HEARTBEAT)
    publish(hub, 1, 2, 3, 4)
    await settle()
    (stream,) = joined(hub)
    assert stream.events[1] == ("gap", {"from": 1, "to": 2})
    assert stream.ids == [3, 4]


async def test_history_is_taken_up_without_being_published(clock: ManualClock) -> None:
    ring = Ring(10)
    for tick_id in (7, 9):
        ring.append(tick_id, sse.price(a_tick(tick_id)))
    hub = Hub(ring, clock, HEARTBEAT, a_tick(9))
    assert (hub.head, hub.latest and hub.latest.id, hub.published) == (9, 9, 0)
    (stream,) = joined(hub, after=7)
    assert stream.ids == [9]


async def test_a_long_broadcast_lets_the_loop_take_turns(hub: Hub) -> None:
    streams = joined(hub, 2 * SLICE + 1)
    publish(hub, 1)
    got_by_turn = []
    while sum(stream.ids == [1] for stream in streams) < len(streams):
        got_by_turn.append(sum(stream.ids == [1] for stream in streams))
        await asyncio.sleep(0)
    assert got_by_turn == [SLICE, 2 * SLICE]


async def test_prices_and_newcomers_between_two_slices_keep_everyones_order(hub: Hub) -> None:
    streams = joined(hub, SLICE + 1)
    publish(hub, 1)
    publish(hub, 2)
    streams += joined(hub)
    publish(hub, 3)
    await settle()
    assert all(stream.ids == [1, 2, 3] for stream in streams)


async def test_a_stream_that_fails_is_closed_and_costs_nobody_else_anything(hub: Hub) -> None:
    streams = joined(hub, 3)
    streams[1].broken = True
    publish(hub, 1)
    assert streams[1].closed
    assert len(hub) == 2
    assert streams[0].ids == streams[2].ids == [1]


async def test_a_stream_that_fails_while_joining_is_closed(hub: Hub) -> None:
    stream = Recorder()
    stream.broken = True
    hub.join(stream, 0)
    assert stream.closed
    assert len(hub) == 0


@pytest.mark.parametrize("bug", [RuntimeError("bug"), KeyError(7), MemoryError(), ValueError()], ids=repr)
@pytest.mark.parametrize("method", ["send", "want_room", "close"])
async def test_unexpected_exception_closes_one_stream_and_broadcast_continues(
    hub: Hub, method: str, bug: Exception
) -> None:
    streams = joined(hub, SLICE + 3)
    for buggy in streams[1], streams[SLICE + 1]:
        buggy.bugs[method] = bug
        buggy.room = 10  # so that it needs more room
        buggy.broken = method == "close"
    with capture_logs() as lines:
        publish(hub, 1)
        await settle()
        publish(hub, 2)
        await settle()
    assert [stream.ids for stream in streams if not stream.bugs] == [[1, 2]] * (SLICE + 1)
    assert len(hub) == SLICE + 1
    assert all(stream.closed for stream in streams if stream.bugs)
    assert [line["exc_info"] for line in failures(lines)] == [bug]
    assert hub.counts.closed[Reason.ERROR] == (0 if method == "close" else 2)


def failures(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["event"] == "stream failed"]


async def test_unexpected_exception_while_catching_up_closes_only_that_stream(hub: Hub) -> None:
    buggy, fine = joined(hub, 2)
    for stream in buggy, fine:
        stream.room = 10
    publish(hub, 1)
    buggy.bugs["want_room"] = RuntimeError("bug")
    with capture_logs() as lines:
        buggy.make_room(hub)
        fine.make_room(hub)
    assert (buggy.closed, fine.closed, fine.ids) == (True, False, [1])
    assert (len(hub), hub.counts.closed[Reason.ERROR], len(failures(lines))) == (1, 1, 1)


async def test_unexpected_exception_in_drain_does_not_affect_other_streams(hub: Hub) -> None:
    first, buggy, last = joined(hub, 3)
    buggy.bugs["finish"] = RuntimeError("bug")
    with capture_logs() as lines:
        await hub.drain(0)
    assert first.final_retry
    assert last.final_retry
    assert len(hub) == 0
    assert len(failures(lines)) == 1


async def test_leaving_twice_does_no_harm(hub: Hub) -> None:
    (stream,) = joined(hub)
    hub.leave(stream)
    hub.leave(stream)
    hub.advance(stream)
    assert len(hub) == 0


async def test_who_has_left_is_forgotten_though_it_was_part_of_a_round(hub: Hub) -> None:
    (stream,) = joined(hub)
    publish(hub, 1)
    hub.leave(stream)
    left = weakref.ref(stream)
    del stream
    assert left() is None


async def test_a_laggard_gets_the_rest_and_all_it_missed_once_there_is_room(hub: Hub) -> None:
    (stream,) = joined(hub)
    stream.room = 50
    publish(hub, 1, 2, 3)
    await settle()
    assert stream.waits
    stream.make_room(hub)
    assert stream.ids == [1, 2, 3]
    publish(hub, 4)
    assert stream.ids == [1, 2, 3, 4]
    assert not stream.waits


async def test_a_laggard_keeps_at_most_a_page_however_far_it_is_behind(hub: Hub) -> None:
    publish(hub, *range(1, 1001))
    await settle()
    stream = Recorder(room=10)
    hub.join(stream, 0)
    for tick_id in range(1001, 1101):
        publish(hub, tick_id)
        await settle()
        assert stream.lag is not None
        assert len(stream.lag.pending) <= (PAGE + 1) * len(sse.price(a_tick(1000)))


async def test_a_laggard_hears_of_the_status_that_it_missed(hub: Hub) -> None:
    (stream,) = joined(hub)
    stream.room = 0
    publish(hub, 1)
    publish(hub, 2, reason="4 exchanges agree.")
    hub.publish(Update(Status.STALE, "Nobody answers."))
    await settle()
    stream.make_room(hub)
    assert stream.ids == [1, 2]
    assert stream.events[-1][1]["reason"] == "Nobody answers."


async def test_a_reader_that_takes_nothing_is_closed_after_the_stall_and_not_before(
    hub: Hub, clock: ManualClock
) -> None:
    async with watched(hub):
        stalled, fine = joined(hub, 2)
        stalled.room = 0
        publish(hub, 1)
        await clock.advance(STALL - 1)
        assert [stalled.closed, fine.closed] == [False, False]
        await clock.advance(2)
        assert [stalled.closed, fine.closed] == [True, False]
        assert (len(hub), hub.counts.closed[Reason.STALLED]) == (1, 1)


async def test_a_slow_reader_that_takes_a_little_is_not_closed(hub: Hub, clock: ManualClock) -> None:
    async with watched(hub):
        slow, stalled = joined(hub, 2)
        slow.room = stalled.room = 0
        publish(hub, *range(1, 100))
        for _ in range(6):
            await clock.advance(STALL / 2)
            slow.make_room(hub, room=1)
        assert not slow.closed
        assert stalled.closed


async def test_an_idle_stream_is_never_closed(hub: Hub, clock: ManualClock) -> None:
    async with watched(hub):
        (stream,) = joined(hub)
        await clock.advance(20 * STALL)
        assert not stream.closed


async def test_a_heartbeat_breaks_a_silence_and_only_a_silence(hub: Hub, clock: ManualClock) -> None:
    async with watched(hub):
        (stream,) = joined(hub)
        await clock.advance(HEARTBEAT - 1)
        publish(hub, 1)
        await clock.advance(HEARTBEAT - 1)
        assert b"heartbeat" not in stream.taken
        await clock.advance(1 + HEARTBEAT)
        assert [name for name, _ in stream.events].count("heartbeat") == 2


async def test_the_end_is_spread_over_the_window_and_the_returns_over_seconds(
    hub: Hub, clock: ManualClock
) -> None:
    streams = joined(hub, 1000)
    drain = asyncio.create_task(hub.drain(10))
    ended = []
    for _ in range(10):
        await clock.advance(1)
        ended.append(sum(stream.closed for stream in streams))
    await drain
    assert ended[-1] == 1000
    assert all(50 <= later - earlier <= 150 for earlier, later in pairwise(ended))
    waits = [int(stream.final_retry.split()[2]) for stream in streams]
    assert len(set(waits)) > 500
    assert min(waits) >= 1000
    assert max(waits) <= 5000
    assert len(hub) == 0


async def test_the_end_of_a_stream_follows_all_that_it_was_sent(hub: Hub) -> None:
    live, lagging = joined(hub, 2)
    lagging.room = 10
    publish(hub, 1)
    await hub.drain(0)
    assert live.final_retry
    # Its bytes would land in the middle of a frame: it is cut off and resumes by id.
    assert not lagging.final_retry
    assert lagging.closed
