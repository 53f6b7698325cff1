"""What the server sends to the clients under test, and what they are to make of it."""

import asyncio
import contextlib
from collections.abc import Sequence

from btc_price_tracker.fanout import sse
from btc_price_tracker.price.model import Status
from btc_price_tracker.testing import ManualClock
from interop.clients import Client, Read
from live import Client as OurClient
from live import Live

HEARTBEAT = 15
RING = 5
RETRY = 150  # ms: far from what the streams begin with, and from every client's own default


async def send_everything(server: Live, clock: ManualClock) -> None:
    """One of each event, with what might trip a parser."""
    await server.publish("69420.10")
    await server.announce(
        Status.DEGRADED, 'Kraken’s price – “0.5 %” off:\r\ndata: {"no":1}\n\n\0\u2028\ufeff'
    )
    await clock.advance(HEARTBEAT + 1)
    await server.publish("0.01", status=Status.DEGRADED)


def end_streams(server: Live) -> None:
    """End every stream as a drain does, but with a wait that shows."""
    for stream in server.hub.streams:
        server.hub.end(stream, sse.with_retry(RETRY, sse.heartbeat(0)))


async def read_to_the_end(client: OurClient) -> None:
    with contextlib.suppress(EOFError):
        while True:
            await client.event()
    assert client.ended


async def until_all_have(clients: Sequence[Client], expected: list[Read]) -> None:
    """Wait for as many events, then compare; who has reconnected meanwhile has more."""
    for client in clients:
        async with asyncio.timeout(60):
            while len(await client.events()) < len(expected):
                await asyncio.sleep(0.02)
        assert (await client.events())[: len(expected)] == expected, type(client).__name__
