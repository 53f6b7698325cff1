"""One epoll for all detached sockets: it reports disconnects, room to write and unexpected input.

A silent client, the normal case, costs nothing. Input is read and discarded, so that it doesn't fill kernel buffers; a
client that keeps sending is disconnected. A half-closed stream counts as disconnected: RFC 9112, 9.5 asks servers to
respond to closure signals promptly, and a browser that leaves a page sends nothing else.

Linux only: `Reactor.available()` is False elsewhere and streams stay with the HTTP server (web/stream/response.py).
"""

import asyncio
import contextlib
import os
import select
import socket
import sys

from btc_price_tracker.fanout.counts import UNKNOWN, Origin, Reason, reason_of
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.sse import LAST_CHUNK
from btc_price_tracker.fanout.stream import Lag, Slot

_BROKEN = select.EPOLLERR | select.EPOLLHUP


class Socket(socket.SocketType):  # socket.socket adds what files need, in Python
    """A stream on a detached, connected socket. Its response is in HTTP/1.1 chunks."""

    __slots__ = ("_reactor", "lag", "record", "slot")

    def __init__(self, fd: int, reactor: "Reactor", slot: Slot | None = None) -> None:
        super().__init__(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK, proto=0, fileno=fd)
        self.lag: Lag | None = None
        self.record = b""
        self.slot = slot
        self._reactor = reactor

    def want_room(self, wanted: bool) -> None:  # noqa: FBT001 - see stream.Stream
        """Start or stop watching for room to write."""
        self._reactor.listen(self.fileno(), for_room=wanted)

    def finish(self, final_retry: bytes) -> None:
        """Write these last frames and the last chunk; a client without room for them is aborted and resumes by id."""
        with contextlib.suppress(OSError):
            self.send(final_retry + LAST_CHUNK)
            self.recv(65536)  # what a client sent meanwhile: closing with unread bytes would reset instead
        self.close()

    def close(self) -> None:
        """Close the socket. Idempotent."""
        if self.fileno() >= 0:
            try:
                self._reactor.forget(self.fileno())
            finally:
                super().close()

    def end_reason(self) -> Reason:
        """Why the connection ended that epoll reports as broken."""
        error = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return reason_of(OSError(error, "")) if error else Reason.CLIENT

    def discard_input(self) -> int:
        """Read and discard what the client has sent; returns its size in bytes. Raises OSError."""
        return len(self.recv(8192))


class Reactor:
    """Watches the descriptors of a hub's detached streams, from inside the running event loop."""

    def __init__(self, hub: Hub, slice_: int = 64, input_limit: int = 8192) -> None:
        """Handle at most `slice_` sockets per event-loop iteration; close those that send over `input_limit` bytes.

        The slice is small since a stream that catches up may be sent as much as the kernel has room for; the limit
        leaves room for the rest of a body, or a pipelined request.
        """
        self.slice = slice_
        self.input_limit = input_limit
        self._hub = hub
        self._epoll = select.epoll()
        self._streams: dict[int, Socket] = {}
        self._received: dict[int, int] = {}  # bytes of input by descriptor, for the few that have any
        self._always = select.EPOLLRDHUP | select.EPOLLIN  # events that every descriptor is watched for
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._poll)

    def __len__(self) -> int:
        """The number of detached sockets."""
        return len(self._streams)

    @staticmethod
    def available() -> bool:
        """Whether this platform has epoll."""
        return sys.platform == "linux"

    def adopt(
        self,
        fd: int,
        after: int,
        opening: bytes,
        sent_status: bytes = b"",
        sources: bytes | None = None,
        slot: Slot | None = None,
        *,
        origin: Origin = UNKNOWN,
    ) -> None:
        """Take over this connected, non-blocking descriptor and stream to it; see `Hub.join`.

        Raises OSError, and has closed the descriptor, if the kernel can't watch another one.
        """
        try:
            self._epoll.register(fd, self._always)
        except OSError:
            os.close(fd)
            raise
        stream = self._streams[fd] = Socket(fd, self, slot)
        try:
            self._hub.join(stream, after, opening, sent_status, sources, origin)
        except BaseException:
            self._hub.leave(stream, Reason.ERROR)
            raise

    def listen(self, fd: int, *, for_room: bool) -> None:
        """Watch the descriptor for input, and for room to write only if `for_room`."""
        self._epoll.modify(fd, self._always | (select.EPOLLOUT if for_room else 0))

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor that is about to be closed."""
        del self._streams[fd]
        self._received.pop(fd, None)
        self._epoll.unregister(fd)

    def close(self) -> None:
        """Close every socket and the epoll."""
        asyncio.get_running_loop().remove_reader(self._epoll.fileno())
        for stream in list(self._streams.values()):
            self._hub.leave(stream, Reason.DRAINED)
        self._epoll.close()

    def _poll(self) -> None:
        for fd, events in self._epoll.poll(0, self.slice):
            stream = self._streams.get(fd)
            if stream is None:
                continue
            is_over = events & ~(select.EPOLLIN | select.EPOLLOUT)  # closed, reset, or failed
            if is_over:
                self._hub.leave(stream, stream.end_reason() if events & _BROKEN else Reason.CLIENT)
            elif events & select.EPOLLIN and (fault := self._fault_of_input(fd, stream)):
                self._hub.leave(stream, fault)
            elif events & select.EPOLLOUT:
                self._hub.advance(stream)

    def _fault_of_input(self, fd: int, stream: Socket) -> Reason | None:
        """Discard input; returns a reason to close if it exceeds the limit or the connection is broken."""
        try:
            received = self._received[fd] = self._received.get(fd, 0) + stream.discard_input()
        except BlockingIOError:
            return None
        except OSError as error:
            return reason_of(error)
        return Reason.INPUT if received > self.input_limit else None
