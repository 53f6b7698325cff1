"""One reader among a thousand takes nothing: nobody else notices, and it loses nothing either."""

import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from btc_price_tracker.fanout.membership import DEFAULTS
from btc_price_tracker.testing import ManualClock, eventually
from live import Live, live
from proofs.reader import Reader, request

READERS = 1000
HISTORY = 6000  # prices: more than the kernel holds for a reader
ROUNDS = 15
MOST_HELD = 64 * 1024  # bytes, for one that lags

pytestmark = pytest.mark.parametrize("detach", [True, False], ids=["detached", "fallback"])


@dataclass(slots=True)
class Audience:
    """A thousand readers, and how long the newest price took to each."""

    delays: list[float] = field(default_factory=list)
    published: float = 0.0
    readers: list[Reader] = field(default_factory=list)

    def heard(self, _: int) -> None:
        self.delays.append(asyncio.get_running_loop().time() - self.published)

    async def p99_of(self, rounds: int, server: Live) -> float:
        """Seconds from publishing to reading, the 99th percentile; the median of so many rounds."""
        return statistics.median([await self.p99(server) for _ in range(rounds)])

    async def p99(self, server: Live) -> float:
        self.delays.clear()
        self.published = asyncio.get_running_loop().time()
        await server.publish()
        await eventually(lambda: len(self.delays) == READERS, seconds=60)
        return statistics.quantiles(self.delays, n=100)[-1]


@asynccontextmanager
async def a_thousand(server: Live) -> AsyncIterator[Audience]:
    audience = Audience()
    last = await server.publish()
    for _ in range(READERS):
        audience.readers.append(await Reader.open(server.port, request(last_event_id=last), audience.heard))
    await eventually(lambda: len(server.hub) == READERS, seconds=60)
    yield audience
    for reader in audience.readers:
        reader.close()


async def stalled_reader(server: Live, after: int) -> Reader:
    """A reader that is due all of history and takes none of it."""
    streams = len(server.hub)
    reader = await Reader.open(server.port, request(last_event_id=after), receive_buffer=4096)
    reader.pause()
    await eventually(lambda: len(server.hub) == streams + 1)
    return reader


def held_for_laggards(server: Live) -> int:
    """Bytes that the hub keeps for those who lag."""
    return sum(len(stream.lag.pending) for stream in server.hub.streams if stream.lag is not None)


async def test_stalled_readers_delay_no_others_and_lose_nothing(detach: bool) -> None:  # noqa: FBT001
    clock = ManualClock()
    async with live(clock, detach=detach) as server:
        ids = [await server.publish() for _ in range(HISTORY)]
        async with a_thousand(server) as audience:
            before = await audience.p99_of(ROUNDS, server)
            stalled = await stalled_reader(server, after=ids[0])
            with_it = await audience.p99_of(ROUNDS, server)
            assert 0 < held_for_laggards(server) <= MOST_HELD

            await clock.advance(DEFAULTS.stall_timeout - 2)
            assert len(server.hub) == READERS + 1
            await clock.advance(4)
            assert len(server.hub) == READERS
            assert held_for_laggards(server) == 0
            after = await audience.p99_of(ROUNDS, server)
            # Were it written to with patience, it would be a hundred times; a busy machine makes it a few times.
            assert with_it < 10 * max(before, after)

        stalled.resume()
        await asyncio.wait_for(stalled.gone.wait(), 60)
        assert not stalled.ended  # cut off, so that it comes back
        last = stalled.ids[-1] if stalled.ids else ids[0]
        again = await Reader.open(server.port, request(last_event_id=last))
        everything = await all_prices(server)
        await eventually(lambda: again.ids and again.ids[-1] == everything[-1], seconds=60)
        assert [ids[0], *stalled.ids, *again.ids] == everything
        assert not again.gaps
        again.close()


async def all_prices(server: Live) -> list[int]:
    reader = await Reader.open(server.port, request("/prices/stream?since=0"))
    assert server.hub.latest is not None
    last = server.hub.latest.id
    await eventually(lambda: reader.ids and reader.ids[-1] == last, seconds=60)
    reader.close()
    return reader.ids


async def test_silent_stream_is_not_closed_as_stalled(detach: bool) -> None:  # noqa: FBT001
    """The pair of the test above: who waits for a price that doesn't come is never closed."""
    clock = ManualClock()
    async with live(clock, detach=detach, heartbeat=3600) as server:
        await server.publish()
        reader = await Reader.open(server.port)
        await eventually(lambda: reader.ids)
        await clock.advance(3500)
        assert not reader.gone.is_set()
        fresh = await server.publish()
        await eventually(lambda: reader.ids[-1] == fresh)
        reader.close()
