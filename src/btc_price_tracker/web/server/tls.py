"""TLS between a TCP connection and the `Connection` that speaks HTTP.

The TLS of asyncio and uvloop makes a protocol only after the handshake: what never finishes one would count towards no
limit and have no deadline of ours. It can't half-close, and hides up to 64 KiB from `get_write_buffer_size`, so that
a client that reads nothing would not be noticed. Here the connection has its transport from the start, and each
method of that does what the one of plain TCP does.
"""

import asyncio
import contextlib
import ssl
from typing import Any

import structlog

from btc_price_tracker.web.server.connection import Connection

HANDSHAKE = 22  # the first byte of a client that speaks TLS (RFC 8446, 5.1)
RECORD = 16 * 1024  # bytes: the most that one record holds

log = structlog.get_logger(__name__)


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """The protocol of a TCP connection, and the transport of the HTTP connection above it."""

    _transport: asyncio.Transport  # of TCP

    def __init__(self, context: ssl.SSLContext, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._has_begun = False  # the client has sent something
        self._is_plain = False  # the client does not speak TLS
        self._is_established = False
        self._has_sent_end = False
        self._has_received_end = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # it is one
        """Let the connection begin: its deadline for a head is that of the handshake as well."""
        self._transport = transport
        self._connection.connection_made(self)

    def data_received(self, data: bytes) -> None:
        """Continue the handshake, or pass on what the client has encrypted."""
        if not self._has_begun:
            data = self._connection.after_preface(data)
            if not data:
                return
            self._has_begun = True
            self._is_plain = data[0] != HANDSHAKE
            if self._is_plain:
                log.info("HTTP without TLS on the HTTPS port", client=self._connection.client)
                self._connection.reject_plain()
        if self._is_plain:
            self._connection.data_received(data)
        elif not (self._has_received_end or self._transport.is_closing()):
            self._incoming.write(data)
            self._advance()

    def eof_received(self) -> bool:
        """Whether to keep the sending side open: as the connection decides. Truncation shows in what HTTP expects."""
        return bool(self._connection.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on, and leave no reference cycle behind."""
        self._connection.connection_lost(exc)
        del self._connection

    def pause_writing(self) -> None:
        """Pass on the back pressure of TCP."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Pass on its end."""
        self._connection.resume_writing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send; nothing after the end."""
        if self._is_plain:
            self._transport.write(data)
        elif data and self._is_established and not self._has_sent_end:
            try:
                self._tls.write(data)
            except ssl.SSLError as error:
                self._fail(error)
            else:
                self._flush()

    def write_eof(self) -> None:
        """Send the end of the data, within TLS and of TCP; the client may go on sending."""
        self._end()
        self._transport.write_eof()

    def can_write_eof(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Send the end of the data and close, without waiting for that of the client (RFC 8446, 6.1)."""
        if not self._transport.is_closing():
            self._end()
            self._transport.close()

    def abort(self) -> None:
        """Close without sending what is buffered."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether the TCP connection closes or has closed."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Read nothing more from TCP."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from TCP again."""
        self._transport.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits of TCP's buffer; nothing is buffered above it."""
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Encrypted bytes that the kernel has not taken."""
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`ssl_object`, and what TCP knows."""
        return self._tls if name == "ssl_object" else self._transport.get_extra_info(name, default)

    def _advance(self) -> None:
        """Do what can be done with what was received, and send what TLS has to say to it."""
        data = b""
        try:
            if not self._is_established:
                self._tls.do_handshake()
                self._is_established = True
            data = self._decrypted()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(error)
            return
        self._flush()
        if data:
            self._connection.data_received(data)
        if self._has_received_end and not self._transport.is_closing() and not self.eof_received():
            self.close()

    def _decrypted(self) -> bytes:
        """All of it: no more than was received, which the receive buffer bounds."""
        pieces = []
        with contextlib.suppress(ssl.SSLWantReadError):
            try:
                while piece := self._tls.read(RECORD):
                    pieces.append(piece)
            except ssl.SSLZeroReturnError:  # the end of both sides; of the client's alone it is b""
                pass
            self._has_received_end = True
        return b"".join(pieces)

    def _fail(self, error: ssl.SSLError) -> None:
        """Tell the client why, in an alert, and close."""
        event = "TLS failed" if self._is_established else "TLS handshake failed"
        log.debug(event, client=self._connection.client, reason=error.reason)
        self._flush()
        self._transport.close()

    def _end(self) -> None:
        if self._is_established and not self._has_sent_end:
            self._has_sent_end = True
            with contextlib.suppress(ssl.SSLError):  # it wants the end of the client, which may never come
                self._tls.unwrap()
            self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())
