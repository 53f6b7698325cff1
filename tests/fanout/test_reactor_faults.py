"""The reactor where the kernel reports something else than usual."""

import socket

import pytest

from btc_price_tracker.fanout.counts import Reason
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.reactor import Reactor, Socket
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.fanout.stream import Stream
from btc_price_tracker.testing import ManualClock, eventually

pytestmark = pytest.mark.skipif(not Reactor.available(), reason="there is no epoll on this platform")


class LeavingTogether(Hub):
    """A hub in which the end of one stream ends the others."""

    def leave(self, stream: Stream, reason: Reason = Reason.CLIENT) -> None:
        for each in [stream, *self._members.live]:
            super().leave(each, reason)


@pytest.fixture
async def hub() -> Hub:
    return LeavingTogether(Ring(10), ManualClock(), heartbeat=15)


@pytest.fixture
def clients(reactor: Reactor) -> list[socket.socket]:
    """Two clients of adopted sockets."""
    pairs = [socket.socketpair() for _ in range(2)]
    for server, _ in pairs:
        server.setblocking(False)
        reactor.adopt(server.detach(), 0, b"")
    return [client for _, client in pairs]


async def test_event_of_a_socket_that_was_just_closed_is_ignored(
    reactor: Reactor, hub: Hub, clients: list[socket.socket]
) -> None:
    for client in clients:
        client.close()
    await eventually(lambda: not len(reactor))
    assert len(hub) == 0


@pytest.mark.parametrize(("error", "streams"), [(BlockingIOError, 2), (ConnectionResetError, 0)])
async def test_only_a_broken_connection_ends_the_stream_on_read(
    reactor: Reactor,
    clients: list[socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    error: type[OSError],
    streams: int,
) -> None:
    reads = []

    def read(stream: Socket) -> int:
        reads.append(stream)
        raise error

    monkeypatch.setattr(Socket, "discard_input", read)
    clients[0].sendall(b"x")
    await eventually(lambda: reads)
    assert len(reactor) == streams
    for client in clients:
        client.close()
    await eventually(lambda: not len(reactor))
