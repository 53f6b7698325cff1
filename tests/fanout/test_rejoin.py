"""After prices that only one instance published: they are forgotten, with a gap for the streams that had them."""

import pytest

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Status, Update
from btc_price_tracker.testing import ManualClock
from fanout.recorder import Recorder
from live import a_tick


@pytest.fixture
def hub() -> Hub:
    hub = Hub(Ring(1000), ManualClock(), 15)
    for tick_id in (10, 20, 30):  # 10 is shared, the others aren't
        hub.publish(update(tick_id))
    return hub


def update(tick_id: int) -> Update:
    return Update(Status.OK, "3 exchanges agree.", a_tick(tick_id))


def test_open_stream_gets_a_gap_and_only_higher_ids(hub: Hub) -> None:
    stream = Recorder()
    hub.join(stream, 0)
    hub.rejoin(shared=10)
    for tick_id in (25, 35):  # 25 is what another instance published meanwhile
        hub.publish(update(tick_id))
    assert stream.ids == [10, 20, 30, 35]
    assert b'"from":11,"to":30' in stream.taken


def test_resuming_stream_is_told_of_the_gap(hub: Hub) -> None:
    hub.rejoin(shared=10)
    hub.publish(update(35))
    stream = Recorder()
    hub.join(stream, 20)
    assert stream.ids == [35]
    assert b'"from":21,"to":30' in stream.taken


def test_lagging_stream_skips_what_was_forgotten(hub: Hub) -> None:
    stream = Recorder(room=0)
    hub.join(stream, 0)
    hub.rejoin(shared=10)
    hub.publish(update(35))
    stream.make_room(hub)
    assert stream.ids[-1] == 35
    assert hub.lagging == 0


def test_nothing_to_forget_announces_no_gap() -> None:
    hub, stream = Hub(Ring(1000), ManualClock(), 15), Recorder()
    hub.publish(update(10))
    hub.join(stream, 0)
    hub.rejoin(shared=10)
    hub.publish(update(20))
    assert stream.ids == [10, 20]
    assert b"gap" not in stream.taken


def test_what_the_broker_no_longer_holds_is_announced_and_left_to_the_store() -> None:
    hub, stream = Hub(Ring(1000), ManualClock(), 15), Recorder()
    hub.publish(update(10))
    hub.join(stream, 0)
    hub.rejoin(shared=10, until=30)
    hub.publish(update(40))
    assert stream.ids == [10, 40]
    assert b'"from":11,"to":30' in stream.taken
