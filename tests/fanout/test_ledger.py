"""What the hub counts about streams: in sums for metrics, and per stream in the line at its end."""

import asyncio
import random
from typing import Any

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.counts import NOTHING, Origin, Reason, Record, Sums
from btc_price_tracker.fanout.endings import LINES, PERIOD
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.membership import HubLimits
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Stages, Status, Update
from btc_price_tracker.testing import ManualClock
from fanout.recorder import Recorder
from live import a_tick


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hub(clock: ManualClock) -> Hub:
    return Hub(Ring(20), clock, heartbeat=15, limits=HubLimits(slice=1000, page=3))


def publish(hub: Hub, tick_id: int, published: int = 0) -> None:
    hub.publish(Update(Status.OK, "3 agree.", a_tick(tick_id), stages=Stages(published=published)))


async def settle() -> None:
    for _ in range(3):  # a slice of the plain streams, one of the others
        await asyncio.sleep(0)


def ended(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["event"] == "stream ended"]


@pytest.mark.parametrize("seed", range(20))
async def test_bytes_and_events_of_each_stream_are_exact(hub: Hub, seed: int) -> None:
    choice = random.Random(seed)
    streams = [Recorder() for _ in range(6)]
    for number, stream in enumerate(streams):
        hub.join(stream, 0, sources=b"" if number % 2 else None, origin=Origin(number))
        publish(hub, number + 1)
        await settle()
    for tick_id in range(100, 140):
        for stream in streams:
            if choice.random() < 0.3:
                stream.room = choice.choice([0, 1, 50, 250, 700])
            elif stream.lag is not None and choice.random() < 0.5:
                stream.make_room(hub)
        publish(hub, tick_id)
        await settle()
    with capture_logs() as lines:
        for stream in streams:
            hub.leave(stream)
            hub.leave(stream)
    assert [(line["bytes"], line["events"]) for line in ended(lines)] == [
        Sums.of(stream.taken) for stream in streams
    ]
    assert (hub.counts.size, hub.counts.events) == Sums.of(b"".join(stream.taken for stream in streams))
    assert hub.counts.fallen_behind > 0
    assert hub.counts.closed == {Reason.CLIENT: 6}


def test_stream_that_breaks_in_a_broadcast_was_not_sent_it(hub: Hub) -> None:
    stream = Recorder()
    hub.join(stream, 0)
    stream.broken = True
    publish(hub, 1)
    assert (hub.counts.size, hub.counts.events) == Sums.of(stream.taken)
    assert hub.counts.closed == {Reason.RESET: 1}


def test_ending_names_ids_position_and_duration(hub: Hub, clock: ManualClock) -> None:
    stream = Recorder()
    publish(hub, clock.now())
    hub.join(stream, 0, origin=Origin(0xAB, "mine", clock.now() - 7000, Sums(1000, 5)))
    with capture_logs() as lines:
        hub.leave(stream, Reason.RESET)
    (line,) = ended(lines)
    assert (line["stream_id"], line["request_id"]) == ("00000000000000ab", "mine")
    assert (line["resumed_from"], line["reason"], line["duration_s"]) == (clock.now() - 7000, "reset", 0)
    sent = Sums.of(stream.taken).plus(Sums(1000, 5))
    assert (line["bytes"], line["events"]) == sent
    assert (hub.counts.joined, hub.counts.resumed, hub.counts.depths.total) == (1, 1, 7)
    assert hub.counts.durations.counts[0] == 1


def test_record_survives_packing() -> None:
    for record in (Record(1.25, 2**64 - 1, None, Sums(-5, -1)), Record(0.0, 0, 2**53 - 1, NOTHING)):
        assert Record.unpack(record.pack()) == record
    assert len(Record(0.0, 0, None, NOTHING).pack()) == 40


async def test_reasons_are_told_apart(hub: Hub, clock: ManualClock) -> None:
    fine, slow, buggy = Recorder(), Recorder(), Recorder()
    for stream in fine, slow, buggy:
        hub.join(stream, 0)
    slow.room = 0
    buggy.bugs["send"] = RuntimeError("bug")
    publish(hub, 5)
    assert hub.counts.closed == {Reason.ERROR: 1}
    assert hub.lag == 0
    publish(hub, 2005)
    assert hub.lag == 2
    await hub.drain(0)
    assert hub.counts.closed == {Reason.ERROR: 1, Reason.DRAINED: 2}
    assert hub.lag == 0


def test_gaps_are_counted_per_stream(hub: Hub) -> None:
    for stream in Recorder(), Recorder():
        hub.join(stream, 0)
    publish(hub, 1)
    hub.rejoin(0, 5)
    assert hub.counts.gaps == 2
    hub.join(Recorder(), 1)
    assert hub.counts.gaps == 3
    hub.join(Recorder(), 5, sse.gap(1, 2) + sse.gap(4, 5))
    assert hub.counts.gaps == 5


def test_lag_counts_from_what_a_stream_has_for_certain(hub: Hub) -> None:
    stream = Recorder()
    hub.join(stream, 0)
    publish(hub, 5)
    stream.room = 0
    publish(hub, 2005)
    assert hub.lag == 2
    stream.make_room(hub)
    assert hub.lag == 0


def test_delivery_is_measured_from_publication(hub: Hub, clock: ManualClock) -> None:
    hub.join(Recorder(), 0)
    publish(hub, 1)
    assert hub.counts.deliveries.counts[:] == [0] * 14  # unknown when it was published
    publish(hub, clock.now(), clock.now() - 2000)
    assert hub.counts.deliveries.total == 2
    assert sum(hub.counts.broadcasts.counts) == 2


async def test_storm_of_disconnects_is_summarized(hub: Hub, clock: ManualClock) -> None:
    streams = [Recorder() for _ in range(10_000)]
    for stream in streams:
        hub.join(stream, 0)
    with capture_logs() as lines:
        for number, stream in enumerate(streams):
            hub.leave(stream, Reason.RESET if number % 2 else Reason.CLIENT)
        hub._ledger.endings.watch(clock.monotonic() + PERIOD - 1)
        assert len(lines) == LINES
        hub._ledger.endings.watch(clock.monotonic() + PERIOD)
        hub._ledger.endings.watch(clock.monotonic() + 2 * PERIOD)
    assert len(ended(lines)) == LINES <= 100
    (summary,) = lines[LINES:]
    size = len(streams[0].taken)
    assert summary["event"] == "more streams ended"
    assert summary["count"] == 10_000 - LINES
    assert summary["reasons"] == {"client": 4990, "reset": 4990}
    assert summary["bytes"] == size * (10_000 - LINES)
