"""A client light enough for thousands in one process: httptools reads the response, this keeps what it says."""

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from typing import Self

import httptools

_PRICE = re.compile(rb"^id: (\d+)$", re.MULTILINE)
_GAP = re.compile(rb'^event: gap\ndata: {"from":(\d+),"to":(\d+)}$', re.MULTILINE)
_RETRY = re.compile(rb"^retry: (\d+)$", re.MULTILINE)
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds: closing sends RST


def request(path: str = "/prices/stream", *, method: str = "GET", last_event_id: int | None = None) -> bytes:
    """A request as bytes."""
    resume = "" if last_event_id is None else f"Last-Event-ID: {last_event_id}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{resume}\r\n".encode()


class Reader(asyncio.Protocol):
    """One response. Only whole events count: what a cut leaves half-way is forgotten, as in any SSE client."""

    def __init__(self, on_price: Callable[[int], None] | None = None) -> None:
        self.ids: list[int] = []
        self.retries: list[int] = []
        self.gaps: list[tuple[int, int]] = []  # from, to
        self.status = 0
        self.ended = False  # whether the response came to its proper end
        self.gone = asyncio.Event()
        self.transport: asyncio.Transport
        self._on_price = on_price
        self._parser = httptools.HttpResponseParser(self)
        self._unread = b""

    @classmethod
    async def open(
        cls,
        port: int,
        asked: bytes | None = None,
        on_price: Callable[[int], None] | None = None,
        receive_buffer: int = 0,
    ) -> Self:
        """Connect and ask; with a `receive_buffer`, the kernel holds no more than that for us."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect(("127.0.0.1", port))  # at once: the kernel answers for the server
        _, reader = await asyncio.get_running_loop().create_connection(lambda: cls(on_price), sock=sock)
        reader.transport.write(asked or request())
        return reader

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # of TCP
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, _: Exception | None) -> None:
        self.gone.set()

    def on_status(self, _: bytes) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        whole, separator, self._unread = (self._unread + body).rpartition(b"\n\n")
        events = whole + separator
        self.gaps += [(int(first), int(last)) for first, last in _GAP.findall(events)]
        self.retries += map(int, _RETRY.findall(events))
        for match in _PRICE.findall(events):
            self.ids.append(int(match))
            if self._on_price is not None:
                self._on_price(int(match))

    def on_message_complete(self) -> None:
        self.ended = True

    def pause(self) -> None:
        self.transport.pause_reading()

    def resume(self) -> None:
        self.transport.resume_reading()

    def close(self) -> None:
        self.transport.close()

    def reset(self) -> None:
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()
