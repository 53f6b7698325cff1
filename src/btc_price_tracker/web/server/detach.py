"""A response that can hold its head back and be detached from the server together with its socket.

Relies on private attributes of uvicorn's RequestResponseCycle (see web/server/connection.py).
"""

import os
import socket
import struct
import sys
import weakref
from asyncio import Transport

from starlette.types import Message, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from btc_price_tracker.web.server.sockets import Place

DETACHABLE = "btc_price_tracker.exchange"  # the key in scope["extensions"]
_NO_LINGER = struct.pack("ii", 1, 0)  # closing sends a reset


class DetachableResponse:
    """What a response can do beyond ASGI."""

    __slots__ = ("_cycle", "_place", "_transport", "endless", "unframed")

    def __init__(self, transport: Transport, cycle: RequestResponseCycle, place: Place | None = None) -> None:
        """`place` is that of the connection among those of its address, if it has one."""
        self.endless = False  # whether the response is a stream
        self.unframed = False
        self._transport = transport
        self._place = place
        # A proxy, as the cycle refers to the scope, and that to this: each request would wait for garbage collection.
        self._cycle: RequestResponseCycle = weakref.proxy(cycle)

    @property
    def closing(self) -> bool:
        """Whether the connection is closing."""
        return self._transport.is_closing()

    @property
    def drained(self) -> bool:
        """Whether the kernel has every byte sent so far."""
        return self._transport.get_write_buffer_size() == 0

    def leave_unframed(self) -> None:
        """Send the body without chunks and end it by closing, as HTTP/1.0 requires."""
        self.unframed = True
        self._cycle.chunked_encoding = False
        self._cycle.expected_content_length = sys.maxsize

    def count_as_stream(self) -> None:
        """Count towards the limits of streams alone, no longer to those of connections."""
        if self._place is not None:
            self._place.leave()

    async def head(self, send: Send, start: Message) -> bytes:
        """The head of the response, for the caller to write together with what follows: one packet instead of two."""
        held = _Collector()
        self._cycle.transport = held  # type: ignore[assignment] # the cycle only calls write
        try:
            await send(start)
        finally:
            self._cycle.transport = self._transport
        return held.data

    def write(self, data: bytes) -> None:
        """Write bytes of the response through the server, unless the client has disconnected."""
        if not self.closing:
            self._transport.write(data)

    def hold_nothing_back(self) -> None:
        """Make each `send` a barrier: it begins once the kernel has every byte sent before."""
        if not self.closing:
            self._transport.set_write_buffer_limits(0)

    def duplicate(self) -> int:
        """A descriptor of the client's socket that the caller owns. Raises OSError if there is none left."""
        return os.dup(self._transport.get_extra_info("socket").fileno())

    def let_go(self) -> None:
        """Make the server clean up as if the client had disconnected, so that nothing of the request is left."""
        self._cycle.disconnected = True
        self._transport.abort()

    def reset(self) -> None:
        """Reset the connection: otherwise a body delimited by its end would look complete."""
        do_not_linger(self._transport)
        self.let_go()

    def close(self) -> None:
        """Close the connection once everything is written."""
        self._transport.close()

    def abort(self) -> None:
        """Abort the connection."""
        self._transport.abort()


def do_not_linger(transport: Transport) -> None:
    """Make closing send a reset, so that the kernel keeps nothing of what the client has not read."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


class _Collector:
    """A transport that only collects."""

    data = b""

    def write(self, data: bytes) -> None:
        self.data += data
