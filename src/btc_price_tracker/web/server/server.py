"""uvicorn with connections of ours (connection.py), and the sockets it listens on."""

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from btc_price_tracker.web.server.capacity import Capacity
from btc_price_tracker.web.server.connection import Connection

LOOK = 0.5  # seconds between looks at who is late
BACKLOG = 4096
SEND_BUFFER = 64 * 1024  # bytes (Linux doubles it): what the kernel holds for one slow client
RECEIVE_BUFFER = (
    16 * 1024
)  # bytes (doubled as well): what it takes from one that sends and isn't read; a head fits
LISTENERS = 4  # descriptors for each socket that listens
UNREACHABLE = 30  # seconds until a peer that acknowledges nothing is given up; TCP itself takes 15 minutes


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: the end of a stream is ours to arrange (app.py)."""

    def __init__(self, config: uvicorn.Config, detached: Callable[[], int]) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()
        self._capacity = Capacity(self.server_state.connections, detached)
        self._sockets: list[socket.socket] = []

    def stop(self) -> None:
        """Take no more connections, finish the requests at hand, and let `serve` return."""
        self.should_exit = True
        self._stopping.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections on these sockets."""
        await self.lifespan.startup()
        self._sockets = sockets or []
        self.servers = []
        await self._accept()
        self.started = True

    async def _accept(self) -> None:
        """Listen on each socket through several descriptors: uvloop accepts one connection for each per iteration.

        In a crowd, connections then share the cost of an iteration. A lone one pays for the polls that find nothing.
        """
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            for _ in range(LISTENERS):
                listening = await loop.create_server(self._connection, sock=each.dup(), backlog=BACKLOG)
                self.servers.append(listening)

    def _connection(self) -> asyncio.Protocol:
        """Make the protocol of a connection that is about to be accepted."""
        loop = asyncio.get_running_loop()
        if self._capacity.full and not self._capacity.make_room(loop.time()):
            loop.call_soon(self._pause)  # later: the connection that is being accepted would be lost
        return Connection(self.config, self.server_state, self.lifespan.state)

    def _pause(self) -> None:
        """Stop accepting; new clients wait in the kernel's backlog."""
        for listening in self.servers:
            listening.close()
        self.servers.clear()

    async def main_loop(self) -> None:
        """Keep the Date of responses right and close who is late.

        One look at all connections costs less than a timer for each; the streams have left and aren't among them.
        uvicorn's own loop looks ten times a second whether it is to end.
        """
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._stopping.wait()
            self._check_deadlines()
            if not self.servers:
                await self._resume()

    def _check_deadlines(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            connection.check_deadlines(now)  # type: ignore[union-attr] # all are ours

    async def _resume(self) -> None:
        """Accept connections again, if there is room by now."""
        if self._capacity.full:
            self._capacity.make_room(asyncio.get_running_loop().time())
        else:
            with contextlib.suppress(OSError):  # no descriptor left: the next check tries again
                await self._accept()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def server(app: Any, keep_alive: float, detached: Callable[[], int]) -> Server:
    """A server for an ASGI application, to be run with `serve(sockets=listen(…))`.

    An idle connection is kept for `keep_alive` seconds; `detached` returns how many streams have left the server.
    """
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
            timeout_keep_alive=keep_alive,  # type: ignore[arg-type] # a fraction does as well
            timeout_graceful_shutdown=3,
        ),
        detached,
    )


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of `host` that this machine has; accepted ones inherit their options.

    Raises OSError, in terms of the settings, where it has none of them, or one can't be had.
    """
    try:
        return _listeners(host, port)
    except (OSError, UnicodeError) as error:
        raise OSError(_words(error, host, port)) from error


def _words(error: OSError | UnicodeError, host: str, port: int) -> str:
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"HOST {host!r} can't be resolved: give an address of this machine, like 127.0.0.1"
    match error.errno:
        case errno.EADDRNOTAVAIL:
            return f"HOST {host} is no address of this machine: give one that is, like 127.0.0.1"
        case errno.EADDRINUSE:
            return f"PORT {port} of {host} is in use: end who uses it, or give another PORT (0 for any)"
        case errno.EACCES:
            return f"PORT {port} is not for every user: give one from 1024 on"
    return f"HOST {host} and PORT {port} can't be had: {error}"


def _listeners(host: str, port: int) -> list[socket.socket]:
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
    # Whoever asks for every address means IPv4 as well.
    both = address[0] == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=both)
    listener.setblocking(False)
    _bound_each_client(listener)
    return listener


def _bound_each_client(listener: socket.socket) -> None:
    """What one slow or dead client may cost: in kernel memory, and in time until it is found out."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREACHABLE * 1000)
