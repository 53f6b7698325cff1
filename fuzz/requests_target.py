"""The bytes of a connection, into the server's own parser, without a network."""

import asyncio
import re
from typing import Any

from btc_price_tracker.web.address.trusted import Trusted
from btc_price_tracker.web.server.server import Server, server
from btc_price_tracker.web.server.sockets import Peers

_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3})")
_LOOP = asyncio.new_event_loop()
_TURNS = 20  # of the event loop, in which every request that is complete is answered


class _Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def write_eof(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


async def _application(_: Any, receive: Any, send: Any) -> None:
    """Read a request to its end, and answer it."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def _server() -> Server:
    made = server(_application, 75, lambda: 0, Peers(Trusted(())))
    made.config.load()
    made.lifespan = made.config.lifespan_class(made.config)
    return made


async def _answer(data: bytes) -> bytes:
    """What is written when the bytes come in two pieces and the client then leaves."""
    protocol: Any = _SERVER._connection()  # noqa: SLF001 - as the event loop makes them
    transport = _Transport()
    protocol.connection_made(transport)
    middle = len(data) // 2
    for piece in (data[:middle], data[middle:]):
        if piece and not transport.closed:
            protocol.data_received(piece)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
    protocol.connection_lost(None)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    assert not _SERVER.server_state.connections
    assert not _SERVER.server_state.tasks
    return transport.written


_SERVER = _server()


def answer(data: bytes) -> None:
    """A connection on which these bytes come: every request is answered or refused, none with a 5xx."""
    statuses = _STATUS.findall(_LOOP.run_until_complete(_answer(data)))
    # 501 and 505 say what the client asks too much of the protocol.
    assert not any(each.startswith(b"5") and each not in {b"501", b"505"} for each in statuses), statuses
