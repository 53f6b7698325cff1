"""One connection of uvicorn's: its deadlines, the work it is due, and an `Exchange` for each of its requests.

`Incoming`, `Connection` and `Exchange` rely on private attributes of uvicorn's HttpToolsProtocol (hence the narrow pin;
tests/web/test_server.py watches them): what connection_made sets, parser, scope, url, headers, pipeline, flow, cycle
and its `response_started`, `response_complete`, `disconnected`, `message_event`, `transport`, `chunked_encoding`,
`expected_content_length`.
"""

import asyncio
import math
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from btc_price_tracker.web.exchange import EXCHANGE, Exchange
from btc_price_tracker.web.incoming import Incoming

WRITE_TIMEOUT = 30.0  # seconds in which a client must take something of what it is sent
HALF_CLOSED_TIMEOUT = 5.0  # seconds in which the answer to a client that has ended its side must begin


class Connection(Incoming):
    """One HTTP/1 connection. Work for a client that has left is cancelled."""

    idle_since = 0.0  # loop time at which the last response was complete, or the connection made
    _running: RequestResponseCycle | None = None
    _task: asyncio.Task[Any] | None = None  # that answers it
    _eof_at = math.inf  # loop time at which the client ended its side
    _unsent = 0  # bytes that waited for the client when it was last looked at
    _moved = 0.0  # loop time at which that was last seen to become less

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        """Do as uvicorn's, but leave out our own address, which nobody asks for; and await the first head."""
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self.scheme = "http"
        peer = transport.get_extra_info("peername")  # None where the client is gone already
        self.client = None if peer is None else peer[:2]  # without what else IPv6 has
        self.idle_since = self.loop.time()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer, no response and no work behind, as uvicorn would after a reset or with requests waiting."""
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        if self._task is not None:
            self._task.cancel()

    def eof_received(self) -> bool:  # type: ignore[override] # of asyncio's own protocol it is one
        """Whether to keep our side open: a client may end its own once it has asked (RFC 9112, 9.6).

        One that ends its side of a stream has left: see fanout/reactor.py.
        """
        self._eof_at = min(self._eof_at, self.loop.time())
        return not (self._is_done() or self._is_streaming())

    def on_response_complete(self) -> None:
        """The next request has its turn; none will come from a client that has ended its side."""
        super().on_response_complete()
        self.idle_since = self.loop.time()
        if self._eof_at < math.inf and self._is_done():
            self.transport.close()

    @property
    def is_idle(self) -> bool:
        """Whether it is kept for a request that hasn't begun."""
        return self._is_idle() and not (self._in_head or self._is_ending or self.transport.is_closing())

    def check_deadlines(self, now: float) -> None:
        """Close the connection if, at `now` (loop time), the client owes a head or takes nothing of what it is sent."""
        if self._is_stalled(now):
            self.transport.abort()
        elif now >= self._due and self._is_idle():
            self.transport.close()
        elif now >= self._eof_at + HALF_CLOSED_TIMEOUT and not self._is_answering():
            self.transport.abort()

    def _on_request(self) -> None:
        extensions: Any = {EXCHANGE: Exchange(self.transport, self.cycle)}
        self.scope["extensions"] = extensions

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, partial(self._answer, cycle, app))

    async def _answer(
        self, cycle: RequestResponseCycle, app: Any, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Run the application, for as long as the client is there and the server goes on."""
        if cycle.disconnected:
            return
        self._task = asyncio.current_task()
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if self._task is None or not self._task.cancelling():
                raise  # a bug of the application's
            cycle.disconnected = True
            self.transport.abort()
        finally:
            self._task = None

    def _is_stalled(self, now: float) -> bool:
        """Whether the client has taken nothing for too long. The kernel holds some for it, so this sees it in leaps."""
        unsent = self.transport.get_write_buffer_size()
        if not self._unsent or unsent < self._unsent:
            self._moved = now
        self._unsent = unsent
        return unsent > 0 and now - self._moved >= WRITE_TIMEOUT

    def _is_streaming(self) -> bool:
        if self._running is None or self._running.response_complete:
            return False
        scope: Any = self._running.scope
        exchange: Exchange = scope["extensions"][EXCHANGE]
        return exchange.endless

    def _is_answering(self) -> bool:
        """Whether a response that will end by itself is under way."""
        return self._running is not None and self._running.response_started and not self._is_streaming()
