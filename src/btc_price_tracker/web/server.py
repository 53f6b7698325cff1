"""uvicorn, with deadlines on every connection and an `Exchange` for every request.

`Connection` and `Exchange` rely on private attributes of uvicorn's HttpToolsProtocol (hence the narrow pin;
tests/web/test_server.py watches them): what connection_made sets, scope, url, headers, cycle and its
`response_complete`, `disconnected`, `transport`, `chunked_encoding`, `expected_content_length`.
"""

import asyncio
import contextlib
import errno
import math
import socket
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any

import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from btc_price_tracker.web.exchange import EXCHANGE, Exchange
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.request_id import new_request_id

HEAD_DEADLINE = 10.0  # seconds a client has for the head of a request
LOOK = 0.5  # seconds between looks at who is late
HEAD_LIMIT = 16 * 1024  # bytes
IDLE = 15  # seconds a kept-alive connection may rest
BACKLOG = 4096
SEND_BUFFER = 64 * 1024  # bytes (Linux doubles it): what the kernel holds for one slow client
UNREACHABLE = 30  # seconds until a peer that acknowledges nothing is given up (production.md A7)


class Connection(HttpToolsProtocol):
    """One HTTP/1 connection. The head of a request must arrive within HEAD_DEADLINE and HEAD_LIMIT."""

    _due = math.inf  # loop time by which the head that is awaited must be whole
    _in_head = False
    _received = 0  # bytes of a head that is not whole yet
    _head_ended = False  # in the piece of data that is being parsed
    _too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        """Do as uvicorn's, which makes two sockets to learn the addresses, and await the first head."""
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self.scheme = "http"
        self.server = _address(transport, "sockname")
        self.client = _address(transport, "peername")
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer behind: uvicorn forgets its own after a reset."""
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and mind that a head comes to its end."""
        self._head_ended = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            # Where a head ended in the same piece, most of it was an earlier request's.
            self._received += 0 if self._head_ended else len(data)
            if self._received > HEAD_LIMIT:
                self._refuse_head()
        elif self._is_idle():
            # Bytes after a finished response that begin no request: the rest of a body nobody wants.
            self._await_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True
        self._received = 0
        self._await_head()

    def on_headers_complete(self) -> None:
        """The request is here. Raises ValueError, which is bad HTTP to the parser, where its head is too large."""
        self._due = math.inf
        self._in_head = False
        self._head_ended = True
        if self._size_of_head() > HEAD_LIMIT:
            self._too_large = True
            raise ValueError("the head is too large")
        super().on_headers_complete()
        exchange = Exchange(self.transport, self.cycle)
        self.scope["extensions"] = {EXCHANGE: exchange}  # type: ignore[dict-item] # a value of ours under a key of ours

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the words of every other error."""
        if self._too_large:
            self._refuse_head()
        else:
            self._refuse(400, msg)

    def end_if_late(self, now: float) -> None:
        """Close the connection if it still owes a head at `now` (loop time)."""
        if now >= self._due and not self.transport.is_closing():
            self.transport.close()

    def _await_head(self) -> None:
        if self._due == math.inf:
            self._due = self.loop.time() + HEAD_DEADLINE

    def _size_of_head(self) -> int:
        return len(self.url) + sum(map(len, chain(*self.headers))) + 4 * len(self.headers)

    def _is_idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _refuse_head(self) -> None:
        self._refuse(431, f"The head of a request may have {HEAD_LIMIT} bytes.")

    def _refuse(self, status: int, detail: str) -> None:
        request_id = new_request_id()
        response = Problem(status, detail).response()
        head = [f"HTTP/1.1 {status} {response.phrase}", f"x-request-id: {request_id}", "connection: close"]
        head += [f"{name.decode()}: {value.decode()}" for name, value in response.raw_headers]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + bytes(response.body))
        self.transport.close()


def _address(transport: asyncio.Transport, name: str) -> tuple[str, int] | None:
    """Host and port, without what else IPv6 has; None where the client is gone already."""
    address = transport.get_extra_info(name)
    return None if address is None else address[:2]


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: the end of a stream is ours to arrange (app.py)."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Take no more connections, finish the requests at hand, and let `serve` return."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Keep the Date of responses right and close who is late.

        One look at all connections costs less than a timer for each; the streams have left and aren't among them.
        uvicorn's own loop looks ten times a second whether it is to end.
        """
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._stopping.wait()
            self._end_who_is_late()

    def _end_who_is_late(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            connection.end_if_late(now)  # type: ignore[union-attr] # all are ours

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def server(app: Any) -> Server:
    """A server for an ASGI application, to be run with `serve(sockets=listen(…))`."""
    return Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=IDLE,
            timeout_graceful_shutdown=3,
        )
    )


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of `host` that this machine has; accepted ones inherit their options.

    Raises OSError where it has none of them, or one can't be had.
    """
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    with contextlib.ExitStack() as undo:
        for family, _, _, _, address in dict.fromkeys(
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        ):
            try:
                sockets.append(undo.enter_context(_listener(family, address)))
            except OSError as error:  # `localhost` is ::1 as well, even where there is no IPv6
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
        if missing and not sockets:
            raise missing
        undo.pop_all()
    return sockets


def _listener(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.create_server(address, family=family, backlog=BACKLOG)
    listener.setblocking(False)
    _bound_each_client(listener)
    return listener


def _bound_each_client(listener: socket.socket) -> None:
    """What one slow or dead client may cost: in kernel memory, and in time until it is found out."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREACHABLE * 1000)
