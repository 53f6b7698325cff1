"""One request and its response on a connection of ours: how a response holds its head back, and takes its socket along.

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

DETACHABLE = "btc_price_tracker.exchange"  # the key in scope["extensions"]
_NO_LINGER = struct.pack("ii", 1, 0)  # closing sends a reset


class DetachableResponse:
    """What a response may do beyond ASGI."""

    __slots__ = ("_cycle", "_transport", "endless", "unframed")

    def __init__(self, transport: Transport, cycle: RequestResponseCycle) -> None:
        self.endless = False  # whether the response is a stream
        self.unframed = False
        self._transport = transport
        # A proxy, for the cycle has the scope, which has this: every request would wait for the garbage collector.
        self._cycle: RequestResponseCycle = weakref.proxy(cycle)

    @property
    def closing(self) -> bool:
        """Whether the connection is about to end."""
        return self._transport.is_closing()

    @property
    def drained(self) -> bool:
        """Whether every byte sent is with the kernel."""
        return self._transport.get_write_buffer_size() == 0

    def leave_unframed(self) -> None:
        """Send the body as it is and end it by closing: HTTP/1.0 knows no chunks."""
        self.unframed = True
        self._cycle.chunked_encoding = False
        self._cycle.expected_content_length = sys.maxsize

    async def head(self, send: Send, start: Message) -> bytes:
        """The response's head, which the caller is to write with what follows it: one packet instead of two."""
        held = _Held()
        self._cycle.transport = held  # type: ignore[assignment] # of which the cycle needs only this
        try:
            await send(start)
        finally:
            self._cycle.transport = self._transport
        return held.data

    def write(self, data: bytes) -> None:
        """Write bytes of the response by way of the server; to nobody, if the client is gone."""
        if not self.closing:
            self._transport.write(data)

    def hold_nothing_back(self) -> None:
        """Make each `send` a barrier: it begins when every byte sent before is with the kernel."""
        if not self.closing:
            self._transport.set_write_buffer_limits(0)

    def duplicate(self) -> int:
        """A descriptor of the client's socket for the caller to own. Raises OSError where there is none left."""
        return os.dup(self._transport.get_extra_info("socket").fileno())

    def let_go(self) -> None:
        """Let the server believe that the client hung up: its own clean-up runs, nothing of the request is left."""
        self._cycle.disconnected = True
        self._transport.abort()

    def reset(self) -> None:
        """Reset the connection: otherwise a body delimited by its end would look complete."""
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.let_go()

    def close(self) -> None:
        """End the connection once what was sent is written."""
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()


class _Held:
    """A transport that only remembers."""

    data = b""

    def write(self, data: bytes) -> None:
        self.data += data
