"""The receiving side of a connection: requests parsed one at a time, within limits, refused as problem+json."""

import math
from collections import deque
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from btc_price_tracker.web.middleware.request_id import new_request_id
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.server import head

HEAD_DEADLINE = 10.0  # seconds a client has for the head of a request
HEAD_LIMIT = 16 * 1024  # bytes
BODY_LIMIT = 1024 * 1024  # bytes of a request whose body nobody wants, until its connection is closed
PIECE = 4096  # bytes parsed at a time: a crowd of requests in one packet wait as bytes, not as objects

_NOWHERE: deque[tuple[bytes, bytes]] = deque(maxlen=0)

log = structlog.get_logger(__name__)


class Incoming(HttpToolsProtocol):
    """Parses requests. The head of each must arrive within HEAD_DEADLINE and HEAD_LIMIT.

    See connection.py for the private attributes of uvicorn that this relies on.
    """

    _due = math.inf  # loop time by which the head that is awaited must be whole
    _in_head = False
    _in_message = False
    _received = 0  # bytes of a message that is not whole yet, less its first piece
    _head_ended = False  # in the piece of data that is being parsed
    _unparsed = b""  # what has come behind requests that wait for their turn
    _declined = b""  # the head of a request whose upgrade is declined, without the Upgrade field
    _refusal: Problem | None = None  # to be said once the requests before it are answered
    _is_ending = False  # we have said our last words, and wait for the client

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
        """Check the head and start the request. Raises ValueError, an error to the parser, if the head is refused."""
        self._due = math.inf
        self._in_head = False
        self._head_ended = True
        if problem := self._fault_in_head():
            self._refuse(problem)
            raise ValueError(str(problem))
        if self.parser.should_upgrade():
            # The parser treats the body and all that follows as the other protocol: parse again without the offer.
            method, version = self.parser.get_method(), self.parser.get_http_version()
            self._declined = head.without_upgrade(method, self.url, version, self.headers)
            return
        super().on_headers_complete()
        self.headers = _NOWHERE  # type: ignore[assignment] # uvicorn would keep what trails the body, without end
        self._on_request()

    def _on_request(self) -> None:
        """Prepare what the response to a request needs."""
        raise NotImplementedError

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._in_message = False
        if not self._declined:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next request has its turn."""
        super().on_response_complete()
        if self._refusal is not None and self._is_idle():
            self._say(self._refusal)
        self._parse()

    def _parse(self) -> None:
        while self._unparsed and not (self.pipeline or self._refusal or self.transport.is_closing()):
            piece, self._unparsed = self._unparsed[:PIECE], self._unparsed[PIECE:]
            self._parse_piece(piece)
        if (self._unparsed or self.pipeline) and not self.transport.is_closing():
            self.flow.pause_reading()  # uvicorn goes on reading after each response, whatever waits

    def _parse_piece(self, piece: bytes) -> None:
        """Feed the parser, and mind that a head comes to its end, and a body too."""
        self._head_ended = False
        self._unset_keepalive_if_required()
        self._feed(piece)
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

    def _feed(self, data: bytes) -> None:
        try:
            while data:
                data = self._feed_up_to_upgrade(data)
        except httptools.HttpParserError:
            if self._refusal is None:
                log.info("invalid HTTP request", client=self.client)
                self._refuse(Problem(400, "Invalid HTTP request received."))

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
        if self._received > HEAD_LIMIT - 2 * PIECE and head.size(self.url, self.headers) > HEAD_LIMIT:
            return _too_large()
        if self.parser.get_method() == b"CONNECT":
            return Problem(405, "CONNECT is for proxies; this is a server.", {"Allow": "GET, HEAD, OPTIONS"})
        fault = head.host_fault(self.parser.get_http_version(), self.headers)
        return Problem(400, fault) if fault else None

    def _await_head(self) -> None:
        if self._due == math.inf:
            self._due = self.loop.time() + HEAD_DEADLINE

    def _is_idle(self) -> bool:
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete

    def _is_done(self) -> bool:
        """Whether every request so far is answered."""
        return self._is_idle() and not (self.pipeline or self._unparsed or self._refusal)

    def _refuse(self, problem: Problem) -> None:
        """End the connection with these words: at once, or after the answers that are still due."""
        if self._refusal is None:
            self._refusal = problem
            if self._is_idle():
                self._say(problem)

    def _say(self, problem: Problem) -> None:
        response = problem.response()
        lines = [f"HTTP/1.1 {problem.status} {response.phrase}".encode(), b"connection: close"]
        lines += [b"x-request-id: " + new_request_id().encode(), b"x-content-type-options: nosniff"]
        fields = [*self.server_state.default_headers, *response.raw_headers]
        lines += [name + b": " + value for name, value in fields]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
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
