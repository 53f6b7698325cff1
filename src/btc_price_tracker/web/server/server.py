"""uvicorn with our connections (connection.py), and the sockets it listens on."""

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from btc_price_tracker.settings.open_files import file_limit
from btc_price_tracker.web.server.capacity import Capacity
from btc_price_tracker.web.server.certificate import Certificate
from btc_price_tracker.web.server.connection import Connection
from btc_price_tracker.web.server.limits import DEFAULTS, ConnectionLimits
from btc_price_tracker.web.server.sockets import Peers, Sockets
from btc_price_tracker.web.server.tls import TlsTransport

BACKLOG = 4096
SEND_BUFFER = 64 * 1024  # bytes (Linux doubles it): what the kernel holds for one slow client
RECEIVE_BUFFER = 16 * 1024  # bytes (doubled as well): what the kernel accepts before it is read; a head fits
LISTENERS = 4  # descriptors of each listening socket
UNREACHABLE = (
    30  # seconds until a peer that acknowledges nothing is disconnected; TCP itself takes 15 minutes
)

# A month is what an operator waits who gives up TLS. It counts for every port of the host, but not for its subdomains.
HSTS = ("Strict-Transport-Security", "max-age=2592000")


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: app.py drains the streams before it stops the server."""

    def __init__(
        self,
        config: uvicorn.Config,
        detached: Callable[[], int],
        peers: Peers,
        limits: ConnectionLimits,
        files: int,
        certificate: Certificate | None,
    ) -> None:
        super().__init__(config)
        self._certificate = certificate
        self._stopping = asyncio.Event()
        self._limits = limits
        self._capacity = Capacity(self.server_state.connections, detached, files)
        self.by_address = Sockets(peers, limits.max_unfinished, self._capacity.most // limits.share)
        self._sockets: list[socket.socket] = []

    def stop(self) -> None:
        """Accept no more connections, finish the running requests, and let `serve` return."""
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

        Many connections then share the cost of an iteration. A single one pays for the polls that find nothing.
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
        connection = Connection(
            self.config, self.server_state, self.lifespan.state, self._limits, self.by_address
        )
        return (
            connection if self._certificate is None else TlsTransport(self._certificate.context, connection)
        )

    def _pause(self) -> None:
        """Stop accepting; new clients wait in the kernel's backlog."""
        for listening in self.servers:
            listening.close()
        self.servers.clear()

    async def main_loop(self) -> None:
        """Update the Date of responses and close connections past their deadline.

        One pass over all connections costs less than a timer for each; detached streams aren't among them. uvicorn's
        own loop checks ten times a second whether it is to end.
        """
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.check_interval):
                    await self._stopping.wait()
            self._check_deadlines()
            if not self.servers:
                await self._resume()

    def _check_deadlines(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            connection.check_deadlines(now)  # type: ignore[union-attr] # all are Connections

    async def _resume(self) -> None:
        """Accept connections again if there is room."""
        if self._capacity.full:
            self._capacity.make_room(asyncio.get_running_loop().time())
        else:
            try:
                await self._accept()
            except OSError:  # no descriptor left: the next check tries again, on all addresses
                self._pause()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals."""
        yield


def server(
    app: Any,
    keep_alive: float,
    detached: Callable[[], int],
    peers: Peers,
    *,
    limits: ConnectionLimits = DEFAULTS,
    files: int | None = None,
    certificate: Certificate | None = None,
) -> Server:
    """A server for an ASGI application, to be run with `serve(sockets=listen(…))`.

    An idle connection is kept for `keep_alive` seconds; `detached` returns the number of streams that have left the
    server; `peers` has the trusted proxies; `files` is the limit of open files, by default that of the process. With a
    `certificate` it speaks HTTPS.
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
            headers=[] if certificate is None else [HSTS],
            proxy_headers=False,
            timeout_keep_alive=keep_alive,  # type: ignore[arg-type] # a fraction works as well
            timeout_graceful_shutdown=3,
        ),
        detached,
        peers,
        limits,
        file_limit() if files is None else files,
        certificate,
    )


def listen(host: str, port: int, *, reuse_port: bool = False) -> list[socket.socket]:
    """Sockets that listen on every address of `host` that this machine has; accepted ones inherit their options.

    With `reuse_port`, other processes of the same user may listen on the port as well.

    Raises OSError, in terms of the settings, if it has none of them or one is not available.
    """
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise OSError(
            "REUSE_PORT is not supported by this system; unset it and set another PORT for each process"
        )
    try:
        return _listeners(host, port, reuse_port=reuse_port)
    except (OSError, UnicodeError) as error:
        raise OSError(_explain(error, host, port)) from error


def _explain(error: OSError | UnicodeError, host: str, port: int) -> str:
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"HOST {host!r} can't be resolved; set an address of this machine, such as 127.0.0.1"
    match error.errno:
        case errno.EADDRNOTAVAIL:
            return f"HOST {host} is not an address of this machine; set one that is, such as 127.0.0.1"
        case errno.EADDRINUSE:
            return (
                f"PORT {port} is already in use on {host}; "
                "stop the process that uses it or set another PORT (0 picks a free one)"
            )
        case errno.EACCES:
            return f"PORT {port} requires privileges; set one from 1024 on"
    return f"can't listen on HOST {host}, PORT {port}: {error}"


def _listeners(host: str, port: int, *, reuse_port: bool) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    with contextlib.ExitStack() as undo:
        for family, _, _, _, address in dict.fromkeys(
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        ):
            try:
                sockets.append(undo.enter_context(_listener(family, address, reuse_port=reuse_port)))
            except OSError as error:  # `localhost` is ::1 as well, even where there is no IPv6
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
        if missing and not sockets:
            raise missing
        undo.pop_all()
    return sockets


def _listener(family: socket.AddressFamily, address: tuple[Any, ...], *, reuse_port: bool) -> socket.socket:
    # "::" stands for every address, those of IPv4 included.
    both = address[0] == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server(
        address, family=family, backlog=BACKLOG, dualstack_ipv6=both, reuse_port=reuse_port
    )
    listener.setblocking(False)
    _bound_each_client(listener)
    return listener


def _bound_each_client(listener: socket.socket) -> None:
    """Bound the kernel memory of one slow client, and the time until a dead one is detected."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREACHABLE * 1000)
