"""One epoll for all detached sockets: it tells of hang-ups and of room to write, and costs nothing else.

Linux only: `Reactor.available()` is False elsewhere and streams stay with the HTTP server (web/stream.py).
"""

import asyncio
import contextlib
import os
import select
import sys

from btc_price_tracker.fanout.hub import Hub, Lag
from btc_price_tracker.fanout.sse import LAST_CHUNK


class Socket:
    """A stream that is a file descriptor of ours. Its response is in HTTP/1.1 chunks."""

    __slots__ = ("_reactor", "fd", "lag")

    def __init__(self, fd: int, reactor: "Reactor") -> None:
        self.fd = fd  # -1 once closed: a write then fails as any to a client that is gone
        self.lag: Lag | None = None
        self._reactor = reactor

    def write(self, data: bytes) -> int:
        """Hand bytes to the kernel; see `hub.Stream.write`."""
        return os.write(self.fd, data)

    def want_room(self, wanted: bool) -> None:  # noqa: FBT001 - see hub.Stream
        """Listen for room to write, or stop listening."""
        self._reactor.listen(self.fd, for_room=wanted)

    def finish(self, farewell: bytes) -> None:
        """Write the farewell and the last chunk. Who has no room for them is cut off: it resumes by id."""
        with contextlib.suppress(OSError):
            os.write(self.fd, farewell + LAST_CHUNK)
            os.read(
                self.fd, 65536
            )  # what a client sent meanwhile: closing with unread bytes would reset instead
        self.close()

    def close(self) -> None:
        """Let go of the descriptor. Idempotent."""
        if self.fd >= 0:
            self._reactor.forget(self.fd)
            os.close(self.fd)
            self.fd = -1


class Reactor:
    """Watches the descriptors of a hub's detached streams, from inside the running event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._epoll = select.epoll()
        self._sockets: dict[int, Socket] = {}
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._poll)

    @staticmethod
    def available() -> bool:
        """Whether this platform has epoll."""
        return sys.platform == "linux"

    def adopt(self, fd: int, after: int, opening: bytes, told: bytes = b"") -> None:
        """Own this connected, non-blocking descriptor and stream to it; see `Hub.join`."""
        socket = self._sockets[fd] = Socket(fd, self)
        self._epoll.register(fd, select.EPOLLRDHUP)
        self._hub.join(socket, after, opening, told)

    def listen(self, fd: int, *, for_room: bool) -> None:
        """Choose what the descriptor is watched for: always hang-ups, room to write on request."""
        self._epoll.modify(fd, select.EPOLLRDHUP | (select.EPOLLOUT if for_room else 0))

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor that is about to be closed."""
        self._epoll.unregister(fd)
        del self._sockets[fd]

    def close(self) -> None:
        """Stop watching altogether and close every socket."""
        asyncio.get_running_loop().remove_reader(self._epoll.fileno())
        for socket in list(self._sockets.values()):
            self._hub.leave(socket)
        self._epoll.close()

    def _poll(self) -> None:
        for fd, events in self._epoll.poll(0):
            socket = self._sockets.get(fd)
            if socket is None:
                continue
            if events & ~select.EPOLLOUT:  # hung up, reset, or broken
                self._hub.leave(socket)
            else:
                self._hub.advance(socket)
