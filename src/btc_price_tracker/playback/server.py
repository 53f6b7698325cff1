"""The loopback server that answers for the venues: each has a base URL, http://127.0.0.1:PORT/<source>."""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from msgspec import Struct

from btc_price_tracker.clock import Clock, SystemClock
from btc_price_tracker.playback import control
from btc_price_tracker.playback.delivery import Delivery
from btc_price_tracker.playback.fault_injection import NO_FAULT, Fault
from btc_price_tracker.playback.market import Market, Ticker
from btc_price_tracker.playback.venues import VENUES, Response
from btc_price_tracker.playback.wire import BadRequest, Request, read_request

HOST = "127.0.0.1"
CALLS_KEPT = 1_000  # per source


class Call(Struct, frozen=True):
    """A request that a source got: when (wall time in ms, monotonic time in s) and what."""

    at: int
    monotonic: float
    target: str  # path and query as the real API would see them
    headers: Mapping[str, str]  # names in lower case


class Playback:
    """Plays a market back over HTTP while its context is open.

    `faults` may be changed at any time, here or over HTTP (see control.py): the source's next answer has it.
    `calls` holds the last requests to each source, newest last. Leaving the context ends every connection.
    """

    def __init__(self, market: Market, clock: Clock | None = None, port: int = 0) -> None:
        """Answer on this port of the loopback interface; 0: any free one. The clock stamps and waits."""
        self.faults: dict[str, Fault] = {}
        self.calls: dict[str, deque[Call]] = {name: deque(maxlen=CALLS_KEPT) for name in VENUES}
        self.port = port  # once the context is open: the one that it is
        self._market = market
        self._clock = clock or SystemClock()
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen. Raises OSError where the port is taken."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the port and every connection, whatever it was waiting for."""
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, source: str) -> str:
        """The base URL that stands for this source's public API."""
        return f"http://{HOST}:{self.port}/{source}"

    def urls(self) -> dict[str, str]:
        """The base URLs of all sources, by the name of the setting that takes each."""
        return {f"{name}_url": self.url(name) for name in VENUES}

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._converse(reader, Delivery(reader, writer, self._clock))
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, delivery: Delivery) -> None:
        """Answer request after request until one of the sides has had enough."""
        try:
            while request := await read_request(reader):
                if not await self._answer(request, delivery):
                    return
        except BadRequest as error:
            await delivery.send(control.problem(400, str(error)), NO_FAULT)

    async def _answer(self, request: Request, delivery: Delivery) -> bool:
        _, source, *rest = request.target.split("/", 2)
        if source not in VENUES:
            return await delivery.send(self._own(request), NO_FAULT)
        fault = self.faults.get(source, NO_FAULT)
        return await delivery.send(self._venue(source, "/" + "".join(rest), request, fault), fault)

    def _own(self, request: Request) -> Response:
        """What the playback itself answers."""
        if request.target.split("/")[1] == "faults":
            return control.answer(request, self.faults, VENUES)
        return control.problem(
            404, f"nothing here; sources are under /{', /'.join(VENUES)}, control is /faults"
        )

    def _venue(self, source: str, target: str, request: Request, fault: Fault) -> Response:
        """The venue's response; the request is counted."""
        now = self._clock.now()
        self.calls[source].append(Call(now, self._clock.monotonic(), target, request.headers))
        if request.method != "GET":
            return control.problem(405, "the playback of a source answers GET only")

        def ticker(name: str) -> Ticker | None:
            ticker = self._market.ticker(name, now)
            return ticker and ticker.scaled(fault.scale)

        return VENUES[source].answer(target, ticker, now)
