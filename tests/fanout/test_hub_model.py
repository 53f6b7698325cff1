"""Whatever happens in whatever order, a stream's prices and gaps add up to all that was published."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.membership import HubLimits
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Status, Update
from btc_price_tracker.testing import ManualClock
from fanout.recorder import Recorder
from live import a_tick

Step = tuple[str, int, int]

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "publish", "status", "join", "room", "turn", "break", "leave"]),
        st.integers(0, 6),
        st.integers(0, 400),
    ),
    max_size=60,
)


@dataclass(slots=True)
class World:
    """A hub, everything published, and every stream with the id after which it joined."""

    hub: Hub
    published: list[int] = field(default_factory=list)
    streams: list[tuple[int, Recorder]] = field(default_factory=list)

    async def play(self, steps: Sequence[Step]) -> None:
        for name, which, amount in steps:
            match name:
                case "publish" | "status":
                    self.publish(with_price=name == "publish", reason=f"reason {which}")
                case "join":
                    self.join(which, room=amount)
                case "turn":
                    await asyncio.sleep(0)
                case _ if self.streams:
                    self.disturb(name, self.streams[which % len(self.streams)][1], amount)

    def publish(self, *, with_price: bool, reason: str) -> None:
        tick = a_tick(2 * len(self.published) + 2) if with_price else None
        if tick is not None:
            self.published.append(tick.id)
        self.hub.publish(Update(Status.OK, reason, tick))

    def join(self, back: int, room: int) -> None:
        after = max(self.hub.head - 2 * back, 0)
        stream = Recorder(room)
        self.streams.append((after, stream))
        self.hub.join(stream, after, sources=None if back % 2 else b"")

    def disturb(self, name: str, stream: Recorder, amount: int) -> None:
        match name:
            case "room":
                stream.make_room(self.hub, amount)
            case "break":
                stream.broken = True
            case "leave":
                self.hub.leave(stream)

    async def come_to_rest(self) -> None:
        for _ in range(100):
            for _, stream in self.streams:
                stream.make_room(self.hub)
            await asyncio.sleep(0)

    def check(self, after: int, stream: Recorder) -> None:
        """No price is skipped in silence, none comes twice, none that was called lost was sent; the status is true."""
        at = after
        for name, data in stream.events:
            if name == "price":
                assert [i for i in self.published if at < i <= int(data["id"])] == [data["id"]]
                at = int(data["id"])
            elif name == "gap":
                assert data["from"] == at + 1
                at = int(data["to"])
        assert at >= self.hub.head
        *_, told = (data for name, data in stream.events if name == "status")
        assert told["reason"] == self.hub.reason
        for sources in [data for name, data in stream.events if name == "sources"][-1:]:
            assert sources["reason"] == self.hub.reason


async def play(steps: Sequence[Step], ring_size: int) -> None:
    world = World(Hub(Ring(ring_size), ManualClock(), heartbeat=15, limits=HubLimits(slice=2, page=3)))
    world.hub.describe_sources = lambda: msgspec.json.encode({"reason": world.hub.reason})
    await world.play(steps)
    await world.come_to_rest()
    for after, stream in world.streams:
        if not stream.closed and not stream.broken:
            assert stream.lag is None
            world.check(after, stream)


SLOW_BROADCAST: Sequence[Step] = [  # the ring drops prices that wait for the broadcast before to end
    ("join", 0, 400),
    ("join", 1, 400),
    *[("publish", 0, 0)] * 5,
    ("join", 0, 0),
]


@pytest.mark.parametrize("ring_size", [3, 1000])
@settings(max_examples=150)
@example(steps=SLOW_BROADCAST)
@given(steps=STEPS)
def test_prices_and_gaps_add_up(steps: Sequence[Step], ring_size: int) -> None:
    asyncio.run(play(steps, ring_size))
