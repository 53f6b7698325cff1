"""A real server in the test's own loop, and a client of raw sockets that reads its streams byte by byte."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

import msgspec

from btc_price_tracker.app import Service, compose
from btc_price_tracker.broker import Term
from btc_price_tracker.clock import Clock, SystemClock
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.price.model import Status, Tick, Update
from btc_price_tracker.settings import Settings
from btc_price_tracker.store.outbox import OutboxLimits
from btc_price_tracker.web.server.limits import DEFAULTS, ConnectionLimits
from btc_price_tracker.web.server.server import Server, listen, server
from command import UNLIMITED

STORE_TIMEOUT = 60.0  # seconds: a busy machine, and mongoeco, take longer than production allows


@dataclass(frozen=True, slots=True)
class Live:
    """A running server whose prices the test publishes itself."""

    service: Service
    server: Server
    port: int
    clock: Clock
    term: Term

    @property
    def hub(self) -> Hub:
        return self.service.hub

    @property
    def url(self) -> str:
        scheme = "http" if self.service.certificate is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}"

    async def publish(
        self, price: str = "69420.25", *, status: Status = Status.OK, reason: str = "3 exchanges agree."
    ) -> int:
        """Keep and publish one price, and return its id once the hub has it."""
        last = self.hub.latest.id if self.hub.latest else 0
        tick = a_tick(max(self.clock.now(), last + 1), price, status)
        await self.service.outbox.keep(tick)
        await self.term.publish(Update(status, reason, tick, silence=0))
        while self.hub.head < tick.id:
            await asyncio.sleep(0)
        return tick.id

    async def announce(self, status: Status, reason: str) -> None:
        """Publish a status without a price."""
        await self.term.publish(Update(status, reason))
        while self.hub.reason != reason:
            await asyncio.sleep(0)


def a_tick(tick_id: int, price: str = "69420.25", status: Status = Status.OK) -> Tick:
    return Tick(tick_id, Decimal(price), status, 3, Decimal("3.10"), 0, "vote3-ped/1")


@asynccontextmanager
async def live(
    clock: Clock | None = None,
    *,
    detach: bool = True,
    limits: ConnectionLimits = DEFAULTS,
    files: int | None = None,
    write_timeout: float = 60,
    **settings: Any,
) -> AsyncIterator[Live]:
    """Serve on a free port, with a store in memory unless the settings say otherwise; no source is asked.

    The timeouts of the store are long, so that a busy machine neither fails an operation nor reorders prices.
    """
    clock = clock or SystemClock()
    sockets = listen(settings.get("host", "127.0.0.1"), 0)
    port = sockets[0].getsockname()[1]
    unlimited = {name.lower(): value for name, value in UNLIMITED.items()}
    chosen = Settings(**{**unlimited, "store_url": "memory://", **settings})
    outbox_limits = OutboxLimits(write_timeout)
    async with compose(
        chosen, clock, detach=detach, outbox_limits=outbox_limits, store_timeout=STORE_TIMEOUT
    ) as service:
        serving = server(
            service.application,
            chosen.keep_alive,
            service.detached,
            service.peers,
            limits=limits,
            files=files,
            certificate=service.certificate,
        )
        running = [asyncio.create_task(loop()) for loop in service.serve]
        ended = asyncio.create_task(serving.serve(sockets=sockets))
        try:
            yield Live(service, serving, port, clock, await service.broker.campaign())
        finally:
            await service.hub.drain(0)
            serving.stop()
            await ended
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Event:
    """One block of a stream; `retry` is set where it says how long to wait, `data` is None where it says no more."""

    name: str = "message"
    data: Any = None
    id: int | None = None
    retry: int | None = None

    @property
    def price(self) -> int | None:
        """The id, if this is a price."""
        return self.id if self.name == "message" else None


@dataclass(slots=True)
class Client:
    """One request on a socket of its own, and the events of its answer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""  # the body so far, without chunk headers
    ended: bool = False  # whether the response came to its proper end
    _unread: bytes = b""

    @classmethod
    async def get(
        cls,
        port: int,
        path: str,
        *,
        method: str = "GET",
        version: str = "1.1",
        **headers: str,
    ) -> Self:
        """Send a request and read the head of the answer. `last_event_id=…` is the header Last-Event-ID."""
        return await cls.get_tls(None, port, path, method=method, version=version, **headers)

    @classmethod
    async def get_tls(
        cls,
        context: ssl.SSLContext | None,
        port: int,
        path: str,
        /,
        *,
        method: str = "GET",
        version: str = "1.1",
        **headers: str,
    ) -> Self:
        """Do the same within TLS."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        lines = [f"{method} {path} HTTP/{version}", "Host: localhost"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        self = cls(reader, writer)
        await self.head()
        return self

    async def head(self) -> dict[str, str]:
        """The headers of the next answer."""
        self.raw = b""
        async with asyncio.timeout(30):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(head[0].split()[1])
        self.headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        return self.headers

    async def body(self) -> bytes:
        """The whole body of an answer that ends."""
        if "content-length" in self.headers:
            self.raw += await self.reader.readexactly(int(self.headers["content-length"]))
            return self.raw
        while await self._more():
            pass
        return self.raw

    async def _more(self) -> bool:
        """Read one chunk, or whatever comes where there are none; False at the end."""
        if self.headers.get("transfer-encoding") != "chunked":
            data = await self.reader.read(65536)
            self.ended = not data
        else:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            data = (await self.reader.readexactly(size + 2))[:-2]
            self.ended = size == 0
        self.raw += data
        self._unread += data
        return not self.ended

    async def event(self, seconds: float = 30) -> Event:
        """The next event. Raises TimeoutError, or EOFError where the stream is over."""
        async with asyncio.timeout(seconds):
            while b"\n\n" not in self._unread:
                if not await self._more():
                    raise EOFError
        block, self._unread = self._unread.split(b"\n\n", 1)
        return _parse(block.decode())

    async def events(self, number: int) -> list[Event]:
        return [await self.event() for _ in range(number)]

    async def prices(self, number: int) -> list[int]:
        """The ids of the next prices, whatever comes between them."""
        ids: list[int] = []
        while len(ids) < number:
            event = await self.event()
            if event.price is not None:
                ids.append(event.price)
        return ids

    def close(self) -> None:
        self.writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def _parse(block: str) -> Event:
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    return Event(
        fields.get("event", "message"),
        msgspec.json.decode(fields["data"]) if "data" in fields else None,
        int(fields["id"]) if "id" in fields else None,
        int(fields["retry"]) if "retry" in fields else None,
    )
