"""An honest stream and honest requests beside an attack."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from live import Client, Live

PERIOD = 0.02  # seconds between prices


@dataclass(slots=True)
class Bystander:
    """What came to an honest client while the attack went on."""

    published: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def is_unharmed(self) -> bool:
        """Whether every price came, once and in order, and every request was answered."""
        return self.received == self.published and set(self.statuses) == {200}


@asynccontextmanager
async def bystander(server: Live) -> AsyncIterator[Bystander]:
    """Follow the stream and send requests, until the end of the context and every price has come."""
    seen = Bystander()
    ended = asyncio.Event()
    async with await Client.get(server.port, "/prices/stream") as stream, asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(_read(stream, seen))
        publishing = tasks.create_task(_publish(server, seen, ended))
        asking = tasks.create_task(_ask(server, seen, ended))
        try:
            yield seen
        finally:
            ended.set()
            await asyncio.wait({publishing, asking})  # the last price may just be on its way
            async with asyncio.timeout(30):
                while seen.received != seen.published:
                    await asyncio.sleep(0.01)
            reading.cancel()


async def _read(stream: Client, seen: Bystander) -> None:
    while True:
        seen.received += await stream.prices(1)


async def _publish(server: Live, seen: Bystander, ended: asyncio.Event) -> None:
    while not ended.is_set():
        seen.published.append(await server.publish())
        await asyncio.sleep(PERIOD)


async def _ask(server: Live, seen: Bystander, ended: asyncio.Event) -> None:
    """On a connection that is kept, so that it costs the server what an honest client does."""
    async with await Client.get(server.port, "/healthz") as client:
        await client.body()
        while not ended.is_set():
            client.writer.write(b"GET /prices/latest HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.head()
            await client.body()
            seen.statuses.append(client.status)
            await asyncio.sleep(PERIOD)
