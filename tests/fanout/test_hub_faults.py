"""What the hub does with repeated updates and with bugs of what it calls."""

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Status, Update
from btc_price_tracker.testing import ManualClock
from fanout.recorder import Recorder
from live import a_tick


@pytest.fixture
def hub() -> Hub:
    return Hub(Ring(1000), ManualClock(), 15)


def update(tick_id: int) -> Update:
    return Update(Status.OK, "3 exchanges agree.", a_tick(tick_id))


async def test_update_delivered_twice_is_published_once(hub: Hub) -> None:
    stream = Recorder()
    hub.join(stream, 0)
    for tick_id in (2, 2, 1):
        hub.publish(update(tick_id))
    assert stream.ids == [2]
    assert hub.published == 1


async def test_stream_without_room_counts_as_lagging(hub: Hub) -> None:
    stream = Recorder(room=0)
    hub.join(stream, 0)
    assert (hub.lagging, len(hub)) == (1, 1)
    stream.make_room(hub)
    assert (hub.lagging, len(hub)) == (0, 1)


async def test_bug_in_the_sources_does_not_stop_prices(hub: Hub) -> None:
    def describe() -> bytes:
        raise RuntimeError("a bug")

    hub.describe_sources = describe
    stream = Recorder()
    with capture_logs() as logs:
        hub.join(stream, 0, sources=b"")
        hub.publish(update(1))
        hub.publish(update(2))
    assert stream.ids == [1, 2]
    assert [line["event"] for line in logs if "exc_info" in line] == ["stream failed"]


async def test_silence_is_the_time_since_a_source_answered() -> None:
    clock = ManualClock()
    hub = Hub(Ring(10), clock, 15)
    hub.publish(Update(Status.STALE, "No price yet.", silence=2000))
    await clock.advance(3)
    assert hub.silence == 5
