"""A connection of uvicorn with deadlines, a task for each response, and a `DetachableResponse` for each request.

`Incoming`, `Introduced`, `Connection` and `DetachableResponse` rely on private attributes of uvicorn's
HttpToolsProtocol (hence the narrow pin; tests/web/server/test_server.py watches them): what connection_made sets,
parser, scope, url, headers, pipeline, flow, cycle and its `response_started`, `response_complete`, `disconnected`,
`message_event`, `transport`, `chunked_encoding`, `expected_content_length`.
"""

import asyncio
import math
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.server.detach import DETACHABLE, DetachableResponse, do_not_linger
from btc_price_tracker.web.server.introduced import Introduced


class Connection(Introduced):
    """One HTTP/1 connection. When it is lost, the task that answers it is cancelled."""

    idle_since = 0.0  # loop time at which the last response was complete, or the connection made
    _running: RequestResponseCycle | None = None
    _task: asyncio.Task[Any] | None = None  # of the running request
    _eof_at = math.inf  # loop time at which the client closed its side
    _unsent = 0  # bytes in the write buffer at the last check
    _moved = 0.0  # loop time at which the write buffer was last seen to shrink

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        """Do as uvicorn, but without the local address, which is not used, and await the first head."""
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self.scheme = "http" if transport.get_extra_info("ssl_object") is None else "https"
        self.idle_since = self.loop.time()
        self._await_head()
        peer = transport.get_extra_info("peername")  # None if the client has disconnected already
        if peer is not None:
            self._meet(peer[:2])  # without the flow and scope of IPv6

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer, response or task behind, as uvicorn does after a reset or with pipelined requests."""
        self._unset_keepalive_if_required()
        self._leave()
        super().connection_lost(exc)
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        if self._task is not None:
            self._task.cancel()
        # Requests that never ran refer to this connection: without the garbage collector all would stay.
        self.pipeline.clear()
        self.cycle = None  # type: ignore[assignment] # as uvicorn's is at first

    def reject_plain(self) -> None:
        """Tell a client that it should have spoken TLS."""
        self._is_secure = False
        self._reject(Problem(400, "This port requires TLS: use https:// in the URL."))

    def eof_received(self) -> bool:  # type: ignore[override] # of asyncio's own protocol it is one
        """Whether to keep the sending side open: a client may half-close after its last request (RFC 9112, 9.6).

        A half-closed stream counts as disconnected: see fanout/reactor.py.
        """
        self._eof_at = min(self._eof_at, self.loop.time())
        return not (self._is_ending or self._is_done() or self._is_streaming())

    def on_response_complete(self) -> None:
        """Start the next request, or close if the client has closed its side and has every response."""
        super().on_response_complete()
        self.idle_since = self.loop.time()
        if self._eof_at < math.inf and self._is_done():
            self.transport.close()

    @property
    def is_idle(self) -> bool:
        """Whether the connection is open and awaits a request, of which it may have a part."""
        return self._is_idle() and not self.transport.is_closing()

    def check_deadlines(self, now: float) -> None:
        """Close the connection if, at `now` (loop time), a head is overdue or the client reads nothing."""
        if self._is_stalled(now):
            do_not_linger(self.transport)
            self.transport.abort()
        elif now >= self._due and self._is_idle():
            self.transport.close()
        elif now >= self._eof_at + self.limits.half_closed_timeout and not self._is_answering():
            self.transport.abort()

    def _on_request(self) -> None:
        extensions: Any = {DETACHABLE: DetachableResponse(self.transport, self.cycle, self._place)}
        self.scope["extensions"] = extensions
        self._identify()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, partial(self._answer, cycle, app))

    async def _answer(
        self, cycle: RequestResponseCycle, app: Any, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Run the application; cancellation by a disconnect or the shutdown is not an error."""
        if cycle.disconnected:
            return
        self._task = asyncio.current_task()
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if self._task is None or not self._task.cancelling():
                raise  # a bug in the application
            cycle.disconnected = True
            self.transport.abort()
        finally:
            self._task = None

    def _is_stalled(self, now: float) -> bool:
        """Whether there was no progress for too long. The kernel buffers data, so progress shows in steps."""
        unsent = self.transport.get_write_buffer_size()
        if not self._unsent or unsent < self._unsent:
            self._moved = now
        self._unsent = unsent
        return unsent > 0 and now - self._moved >= self.limits.write_timeout

    def _is_streaming(self) -> bool:
        if self._running is None or self._running.response_complete:
            return False
        scope: Any = self._running.scope
        response: DetachableResponse = scope["extensions"][DETACHABLE]
        return response.endless

    def _is_answering(self) -> bool:
        """Whether a finite response has begun."""
        return self._running is not None and self._running.response_started and not self._is_streaming()
