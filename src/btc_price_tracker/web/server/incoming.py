"""The receiving side of a connection: parses one request at a time, within limits, and rejects as problem+json."""

import math
import weakref
from collections import deque

import httptools
import structlog

from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.server import head
from btc_price_tracker.web.server.ending import Ending

_TLS_HANDSHAKE = b"\x16\x03"  # as a client begins that expects TLS (RFC 8446, 5.1)
_DISCARD: deque[tuple[bytes, bytes]] = deque(maxlen=0)

log = structlog.get_logger(__name__)


class Incoming(Ending):
    """Parses requests within `limits`.

    See connection.py for the private attributes of uvicorn that this relies on.
    """

    _in_head = False
    _head_ended = False  # in the piece of data that is being parsed
    _declined = b""  # the head of a request whose upgrade is declined, without the Upgrade field

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
        self._head_ended = True
        try:
            self._check_head()
        except Problem as problem:
            self._reject(problem)
            raise ValueError(str(problem)) from problem
        if self.parser.should_upgrade():
            # The parser treats the body and all that follows as the other protocol: parse again without the offer.
            method, version = self.parser.get_method(), self.parser.get_http_version()
            self._declined = head.without_upgrade(method, self.url, version, self.headers)
            return
        super().on_headers_complete()
        self._in_head = False
        if head.announces_body(self.headers):
            self._on_body_announced()
        self.headers = _DISCARD  # type: ignore[assignment] # uvicorn would keep trailers, without limit
        self._on_request()

    def _on_request(self) -> None:
        """Prepare what the response to a request needs."""
        raise NotImplementedError

    def on_message_complete(self) -> None:
        """Note the end of a request. Raises ValueError, which stops the parser, if a trailer ends the connection."""
        if not self._declined:
            if self.cycle.keep_alive and not self.parser.should_keep_alive():
                raise ValueError("Connection is no trailer (RFC 9110, 6.5.1)")
            super().on_message_complete()
        self._in_message = False

    def _on_body_announced(self) -> None:
        """Prepare for a response that is sent before the body has arrived, as this server reads none.

        After `Expect: 100-continue` the client may leave the body out, and what it sends next be taken for it.
        """
        if self.expect_100_continue:
            self.cycle.keep_alive = False
        if not self.cycle.keep_alive:
            self.cycle.transport = weakref.proxy(self)

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        super().on_response_complete()
        self._parse()

    def _parse(self) -> None:
        while self._unparsed and not (self.pipeline or self._is_over() or self.transport.is_closing()):
            piece, self._unparsed = self._unparsed[: self.limits.piece], self._unparsed[self.limits.piece :]
            self._parse_piece(piece)
        if (self._unparsed or self.pipeline) and not self.transport.is_closing():
            self.flow.pause_reading()  # uvicorn resumes reading after each response, even if requests wait

    def _parse_piece(self, piece: bytes) -> None:
        """Feed the parser and bound the size of the head and the body."""
        self._head_ended = False
        self._unset_keepalive_if_required()
        self._feed(piece)
        if self.transport.is_closing() or self._is_over():
            return
        if self._in_message:
            # Where a head ended in the same piece, most of it was an earlier request's.
            self._received += 0 if self._head_ended else len(piece)
            if self._in_head and self._received > self.limits.max_head:
                self._reject(_too_large(self.limits.max_head))
            elif self._received > self.limits.max_body:
                self._break_off()
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
                self._on_malformed()

    def _on_malformed(self) -> None:
        if self._in_message and not self._in_head:
            self._break_off()
        else:
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

    def _check_head(self) -> None:
        """Raise Problem if the request is rejected; resolve its target otherwise."""
        # Only what came in several pieces can be too large: there is no need to add up every head.
        limits, method = self.limits, self.parser.get_method()
        if (
            self._received > limits.max_head - 2 * limits.piece
            and head.size(self.url, self.headers) > limits.max_head
        ):
            raise _too_large(limits.max_head)
        head.check(method, self.parser.get_http_version(), self.headers, limits.max_body)
        self.url, host = head.target(method, self.url)
        if host is not None:
            self.headers[:] = head.with_host(self.headers, host)

    def _await_head(self) -> None:
        if self._due == math.inf:
            self._due = self.loop.time() + self.limits.head_timeout

    def _is_done(self) -> bool:
        """Whether every request so far has its response."""
        return self._is_idle() and not (self.pipeline or self._unparsed or self._is_over())


def _too_large(limit: int) -> Problem:
    return Problem(431, f"The head of the request is larger than {limit} bytes.")
