"""`sources` events: for the streams that asked, once a round, encoded once."""

import asyncio

import pytest

from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.membership import HubLimits
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Status, Update
from btc_price_tracker.testing import ManualClock
from fanout.recorder import Recorder
from live import a_tick


class Described:
    """A hub whose sources are described by the id of the newest price."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.hub = Hub(Ring(1000), self.clock, heartbeat=15)
        self.times = 0
        self.hub.describe_sources = self._describe

    def _describe(self) -> bytes:
        self.times += 1
        return b'{"n":%d}' % self._newest()

    def _newest(self) -> int:
        return self.hub.latest.id if self.hub.latest else 0

    def publish(self, *ids: int) -> None:
        for tick_id in ids:
            self.hub.publish(Update(Status.OK, "3 exchanges agree.", a_tick(tick_id)))

    def join(self, *, after: int = 0, room: int | None = None, sources: bytes | None = b"") -> Recorder:
        stream = Recorder(room)
        self.hub.join(stream, after, sources=sources)
        return stream


@pytest.fixture
def described() -> Described:
    return Described()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def names(stream: Recorder) -> list[str]:
    return [name for name, _ in stream.events]


def numbers(stream: Recorder) -> list[int | str]:
    return [data["n"] for name, data in stream.events if name == "sources"]


async def test_sources_come_at_the_start_and_after_each_price(described: Described) -> None:
    stream = described.join()
    described.publish(1)
    await settle()
    described.publish(2)
    await settle()
    assert names(stream) == ["status", "sources", "status", "price", "sources", "price", "sources"]
    assert numbers(stream) == [0, 1, 2]


async def test_streams_that_did_not_ask_get_none(described: Described) -> None:
    plain = described.join(sources=None)
    described.join()
    described.publish(1, 2)
    await settle()
    assert names(plain) == ["status", "status", "price", "price"]


async def test_a_round_is_described_once_however_many_streams_there_are(described: Described) -> None:
    for _ in range(5):
        described.join()
    assert described.times == 1
    described.publish(1)
    await settle()
    for _ in range(5):
        described.join()
    assert described.times == 2


async def test_sources_are_not_described_while_no_stream_asks(described: Described) -> None:
    described.join(sources=None)
    described.publish(1)
    await settle()
    assert described.times == 0


async def test_a_round_that_changes_neither_price_nor_status_brings_the_sources_only(
    described: Described,
) -> None:
    plain, stream = described.join(sources=None), described.join()
    described.hub.publish(Update(described.hub.status, described.hub.reason))
    await settle()
    assert names(plain) == ["status"]
    assert numbers(stream) == [0, 0]


async def test_rounds_without_prices_do_not_put_heartbeats_off(described: Described) -> None:
    """Such a round writes nothing to the streams that did not ask."""
    plain = described.join(sources=None)
    described.join()
    watch = asyncio.create_task(described.hub.watch())
    await described.clock.sleeping()
    for _ in range(16):
        described.hub.publish(Update(described.hub.status, described.hub.reason))
        await described.clock.advance(1)
    watch.cancel()
    assert names(plain) == ["status", "heartbeat"]


async def test_a_heartbeat_brings_no_sources(described: Described) -> None:
    stream = described.join()
    watch = asyncio.create_task(described.hub.watch())
    await described.clock.sleeping()
    await described.clock.advance(16)
    watch.cancel()
    assert names(stream) == ["status", "sources", "heartbeat"]


async def test_a_laggard_gets_every_price_but_only_the_newest_sources(described: Described) -> None:
    stream = described.join()
    stream.room = 0
    for tick_id in range(1, 6):
        described.publish(tick_id)
        await settle()
    assert described.hub.lagging == 1
    stream.make_room(described.hub)
    assert described.hub.lagging == 0
    assert stream.ids == [1, 2, 3, 4, 5]
    assert numbers(stream) == [0, 5]
    described.publish(6)
    await settle()
    assert numbers(stream) == [0, 5, 6]


async def test_sources_that_were_cut_short_are_finished_before_the_newest(described: Described) -> None:
    described.publish(1)
    await settle()
    stream = described.join()
    stream.room = len(sse.price(a_tick(2))) + 10
    described.publish(2)
    await settle()
    described.publish(3)
    await settle()
    stream.make_room(described.hub)
    assert stream.ids == [1, 2, 3]
    assert numbers(stream) == [1, 2, 3]


async def test_what_a_client_was_sent_before_it_joins_is_not_repeated(described: Described) -> None:
    assert numbers(described.join(sources=described.hub.sources())) == []
    described.publish(1)
    await settle()
    assert numbers(described.join(sources=sse.sources(b'{"n":0}'))) == [1]


@pytest.mark.parametrize("plain", [0, 1, 2, 5])
async def test_a_round_in_slices_reaches_both_groups(described: Described, plain: int) -> None:
    described.hub.limits = HubLimits(slice=2)
    streams = [described.join() for _ in range(3)]
    streams += [described.join(sources=None) for _ in range(plain)]
    described.publish(1)
    described.publish(2)
    streams.append(described.join())
    await settle()
    assert [stream.ids for stream in streams] == [[1, 2]] * len(streams)
    assert [numbers(stream)[-1:] for stream in streams] == [[2]] * 3 + [[]] * plain + [[2]]


async def test_streams_with_sources_count_leave_and_end_like_others(described: Described) -> None:
    first, second = described.join(), described.join()
    assert len(described.hub) == 2
    described.hub.leave(first)
    assert len(described.hub) == 1
    await described.hub.drain(0)
    assert b"retry:" in second.final_retry
    assert len(described.hub) == 0
