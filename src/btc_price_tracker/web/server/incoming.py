"""The receiving side of a connection: parses one request at a time, within limits, and rejects as problem+json."""

import math
from collections import deque
from typing import Any

import httptools
import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from btc_price_tracker.web.middleware.request_id import new_request_id
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.server import head
from btc_price_tracker.web.server.limits import ConnectionLimits

_TLS_HANDSHAKE = b"\x16\x03"  # as a client begins that expects TLS (RFC 8446, 5.1)
_DISCARD: deque[tuple[bytes, bytes]] = deque(maxlen=0)

log = structlog.get_logger(__name__)


class Incoming(HttpToolsProtocol):
    """Parses requests within `limits`.

    See connection.py for the private attributes of uvicorn that this relies on.
    """

    _due = math.inf  # loop time by which the awaited head must be complete
    _in_head = False
    _in_message = False
    _received = 0  # bytes of a message that is not whole yet, less its first piece
    _head_ended = False  # in the piece of data that is being parsed
    _unparsed = b""  # bytes received after requests that wait for their turn
    _declined = b""  # the head of a request whose upgrade is declined, without the Upgrade field
    _rejection: Problem | None = None  # to be sent after the responses to earlier requests
    _is_ending = False  # the last response is written; the client is to close

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.limits = limits

    def data_received(self, data: bytes) -> None:
        """Parse the data as far as earlier requests have their responses."""
        if self._is_ending:
            self._linger(data)
            return
        self._unparsed += data
        self._parse()

    def on_message_begin(self) -> None:
        """Start the timeout of a head."""
        super().on_message_begin()
        self._in_head = self._in_message = True
        self._received = 0
        self._await_head()

    def on_headers_complete(self) -> None:
        """Check the head and start the request. Raises ValueError, which stops the parser, if the head is rejected."""
        self._due = math.inf
        self._in_head = False
        self._head_ended = True
        if problem := self._fault_in_head():
            self._reject(problem)
            raise ValueError(str(problem))
        if self.parser.should_upgrade():
            # The parser treats the body and all that follows as the other protocol: parse again without the offer.
            method, version = self.parser.get_method(), self.parser.get_http_version()
            self._declined = head.without_upgrade(method, self.url, version, self.headers)
            return
        super().on_headers_complete()
        self.headers = _DISCARD  # type: ignore[assignment] # uvicorn would keep trailers, without limit
        self._on_request()

    def _on_request(self) -> None:
        """Prepare what the response to a request needs."""
        raise NotImplementedError

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        self._in_message = False
        if not self._declined:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        super().on_response_complete()
        if self._rejection is not None and self._is_idle():
            self._send_problem(self._rejection)
        self._parse()

    def _parse(self) -> None:
        while self._unparsed and not (self.pipeline or self._rejection or self.transport.is_closing()):
            piece, self._unparsed = self._unparsed[: self.limits.piece], self._unparsed[self.limits.piece :]
            self._parse_piece(piece)
        if (self._unparsed or self.pipeline) and not self.transport.is_closing():
            self.flow.pause_reading()  # uvicorn resumes reading after each response, even if requests wait

    def _parse_piece(self, piece: bytes) -> None:
        """Feed the parser and bound the size of the head and the body."""
        self._head_ended = False
        self._unset_keepalive_if_required()
        self._feed(piece)
        if self.transport.is_closing() or self._rejection:
            return
        if self._in_message:
            # Where a head ended in the same piece, most of it was an earlier request's.
            self._received += 0 if self._head_ended else len(piece)
            if self._in_head and self._received > self.limits.max_head:
                self._reject(_too_large(self.limits.max_head))
            elif self._received > self.limits.max_body:
                self.transport.close()
        if not self._in_head and self._is_idle():
            # Bytes after a complete response that begin no request: the rest of a body.
            self._await_head()

    def _feed(self, data: bytes) -> None:
        try:
            while data:
                data = self._feed_up_to_upgrade(data)
        except httptools.HttpParserError:
            if self._rejection is None:
                is_tls = data.startswith(_TLS_HANDSHAKE)
                log.info("TLS on the HTTP port" if is_tls else "invalid HTTP request", client=self.client)
                self._reject(Problem(400, "Invalid HTTP request received."))

    def _feed_up_to_upgrade(self, data: bytes) -> bytes:
        """Feed the parser; return what to parse next: a head whose upgrade is declined and the bytes after it."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            again, self._declined = self._declined, b""
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            return again + data[upgrade.args[0] :]
        return b""

    def _fault_in_head(self) -> Problem | None:
        # Only what came in several pieces can be too large: there is no need to add up every head.
        limits = self.limits
        if (
            self._received > limits.max_head - 2 * limits.piece
            and head.size(self.url, self.headers) > limits.max_head
        ):
            return _too_large(limits.max_head)
        if self.parser.get_method() == b"CONNECT":
            return Problem(
                405, "CONNECT is not supported: this server is no proxy.", {"Allow": "GET, HEAD, OPTIONS"}
            )
        fault = head.host_fault(self.parser.get_http_version(), self.headers)
        return Problem(400, fault) if fault else None

    def _await_head(self) -> None:
        if self._due == math.inf:
            self._due = self.loop.time() + self.limits.head_timeout

    def _is_idle(self) -> bool:
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete

    def _is_done(self) -> bool:
        """Whether every request so far has its response."""
        return self._is_idle() and not (self.pipeline or self._unparsed or self._rejection)

    def _reject(self, problem: Problem) -> None:
        """End the connection with this problem: at once, or after the responses that are still due."""
        if self._rejection is None:
            self._rejection = problem
            if self._is_idle():
                self._send_problem(problem)

    def _send_problem(self, problem: Problem) -> None:
        response = problem.response()
        lines = [f"HTTP/1.1 {problem.status} {response.phrase}".encode(), b"connection: close"]
        lines += [b"x-request-id: " + new_request_id().encode(), b"x-content-type-options: nosniff"]
        fields = [*self.server_state.default_headers, *response.raw_headers]
        lines += [name + b": " + value for name, value in fields]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self._await_end()

    def _await_end(self) -> None:
        """Close the sending side only: a full close would reset a client that still sends, and lose the response.

        See RFC 9112, 9.6. The client has as long as for a head.
        """
        self.transport.write_eof()
        self._is_ending = True
        self._unparsed = b""
        self._received = 0
        self._due = self.loop.time() + self.limits.head_timeout
        self.flow.resume_reading()

    def _linger(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self.limits.max_body:
            self.transport.close()


def _too_large(limit: int) -> Problem:
    return Problem(431, f"The head of the request is larger than {limit} bytes.")
