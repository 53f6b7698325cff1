"""One connection of uvicorn's, within bounds: deadlines, sizes, one request after the other, an `Exchange` for each.

`Connection` and `Exchange` rely on private attributes of uvicorn's HttpToolsProtocol (hence the narrow pin;
tests/web/test_server.py watches them): what connection_made sets, scope, url, headers, pipeline, flow, cycle and its
`response_complete`, `disconnected`, `message_event`, `transport`, `chunked_encoding`, `expected_content_length`.
"""

import asyncio
import math
from collections import deque
from itertools import chain
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from btc_price_tracker.web.exchange import EXCHANGE, Exchange
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.request_id import new_request_id

HEAD_DEADLINE = 10.0  # seconds a client has for the head of a request
HEAD_LIMIT = 16 * 1024  # bytes
BODY_LIMIT = 1024 * 1024  # bytes of a request whose body nobody wants, until its connection is closed
PIECE = 4096  # bytes parsed at a time: a crowd of requests in one packet wait as bytes, not as objects

_NOWHERE: deque[tuple[bytes, bytes]] = deque(maxlen=0)


class Connection(HttpToolsProtocol):
    """One HTTP/1 connection. The head of a request must arrive within HEAD_DEADLINE and HEAD_LIMIT."""

    _due = math.inf  # loop time by which the head that is awaited must be whole
    _in_head = False
    _in_message = False
    _received = 0  # bytes of a message that is not whole yet, less its first piece
    _head_ended = False  # in the piece of data that is being parsed
    _unparsed = b""  # what has come behind requests that wait for their turn
    _refusal: Problem | None = None  # to be said once they are answered
    _is_ending = False  # we have said our last words, and wait for the client
    _running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        """Do as uvicorn's, but leave out our own address, which nobody asks for; and await the first head."""
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self.scheme = "http"
        peer = transport.get_extra_info("peername")  # None where the client is gone already
        self.client = None if peer is None else peer[:2]  # without what else IPv6 has
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer and no response behind: uvicorn forgets both after a reset, or where requests were waiting."""
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Parse what has come, as far as it is its turn."""
        if self._is_ending:
            self._linger(data)
            return
        self._unparsed += data
        self._parse()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = self._in_message = True
        self._received = 0
        self._await_head()

    def on_headers_complete(self) -> None:
        """The request is here. Raises ValueError, which is bad HTTP to the parser, where its head is too large."""
        self._due = math.inf
        self._in_head = False
        self._head_ended = True
        # Only what came in several pieces can be too large: there is no need to add up every head.
        if self._received > HEAD_LIMIT - 2 * PIECE and self._size_of_head() > HEAD_LIMIT:
            self._refuse(_too_large())
            raise ValueError("the head is too large")
        super().on_headers_complete()
        self.headers = _NOWHERE  # type: ignore[assignment] # uvicorn would keep what trails the body, without end
        exchange = Exchange(self.transport, self.cycle)
        self.scope["extensions"] = {EXCHANGE: exchange}  # type: ignore[dict-item] # a value of ours under a key of ours

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next request has its turn."""
        super().on_response_complete()
        if self._refusal is not None and self._is_idle():
            self._say(self._refusal)
        self._parse()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the words of every other error."""
        self._refuse(Problem(400, msg))

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing to the log: the request is answered as it is, and uvicorn's advice isn't for our operators."""

    def end_if_late(self, now: float) -> None:
        """Close the connection if it still owes a head at `now` (loop time), and we owe it nothing."""
        if now >= self._due and self._is_idle() and not self.transport.is_closing():
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _parse(self) -> None:
        while self._unparsed and not (self.pipeline or self._refusal or self.transport.is_closing()):
            piece, self._unparsed = self._unparsed[:PIECE], self._unparsed[PIECE:]
            self._parse_piece(piece)
        if (self._unparsed or self.pipeline) and not self.transport.is_closing():
            self.flow.pause_reading()  # uvicorn goes on reading after each response, whatever waits

    def _parse_piece(self, piece: bytes) -> None:
        """Feed the parser, and mind that a head comes to its end, and a body too."""
        self._head_ended = False
        super().data_received(piece)
        if self.transport.is_closing() or self._refusal:
            return
        if self._in_message:
            # Where a head ended in the same piece, most of it was an earlier request's.
            self._received += 0 if self._head_ended else len(piece)
            if self._in_head and self._received > HEAD_LIMIT:
                self._refuse(_too_large())
            elif self._received > BODY_LIMIT:
                self.transport.close()
        if not self._in_head and self._is_idle():
            # Bytes after a finished response that begin no request: the rest of a body nobody wants.
            self._await_head()

    def _await_head(self) -> None:
        if self._due == math.inf:
            self._due = self.loop.time() + HEAD_DEADLINE

    def _size_of_head(self) -> int:
        return len(self.url) + sum(map(len, chain(*self.headers))) + 4 * len(self.headers)

    def _is_idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _refuse(self, problem: Problem) -> None:
        """End the connection with these words: at once, or after the answers that are still due."""
        if self._refusal is None:
            self._refusal = problem
            if self._is_idle():
                self._say(problem)

    def _say(self, problem: Problem) -> None:
        response = problem.response()
        head = [f"HTTP/1.1 {problem.status} {response.phrase}".encode(), b"connection: close"]
        head += [b"x-request-id: " + new_request_id().encode(), b"x-content-type-options: nosniff"]
        fields = [*self.server_state.default_headers, *response.raw_headers]
        head += [name + b": " + value for name, value in fields]
        self.transport.write(b"\r\n".join([*head, b"", bytes(response.body)]))
        self._await_end()

    def _await_end(self) -> None:
        """End our side alone: a close would reset the connection of who still sends, and our words be lost.

        That is RFC 9112, 9.6. The client has as long as for a head.
        """
        self.transport.write_eof()
        self._is_ending = True
        self._unparsed = b""
        self._received = 0
        self._due = self.loop.time() + HEAD_DEADLINE
        self.flow.resume_reading()

    def _linger(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > BODY_LIMIT:
            self.transport.close()


def _too_large() -> Problem:
    return Problem(431, f"The head of a request may have {HEAD_LIMIT} bytes.")
