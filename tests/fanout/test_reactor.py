"""The reactor on real sockets."""

import asyncio
import collections
import errno
import fcntl
import itertools
import os
import socket
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.counts import Reason, reason_of
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.membership import HubLimits
from btc_price_tracker.fanout.reactor import Reactor, Socket
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.fanout.stream import Stream
from btc_price_tracker.price.model import Status, Update
from btc_price_tracker.testing import ManualClock, eventually
from live import a_tick

pytestmark = pytest.mark.skipif(not Reactor.available(), reason="there is no epoll on this platform")


@pytest.fixture
def hub() -> Hub:
    return Hub(Ring(10_000), ManualClock(), heartbeat=15)


@pytest.fixture
def pair() -> Iterator[tuple[int, socket.socket]]:
    """A descriptor to be adopted, and the client at its other end."""
    fd, client = connected()
    yield fd, client
    client.close()


def connected() -> tuple[int, socket.socket]:
    """The two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    server.setblocking(False)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    client.settimeout(30)
    return server.detach(), client


def publish(hub: Hub, *ids: int) -> None:
    for tick_id in ids:
        hub.publish(Update(Status.OK, "3 exchanges agree.", a_tick(tick_id)))


async def a_few_turns() -> None:
    """As many as a round of two slices takes, and more."""
    for _ in range(10):
        await asyncio.sleep(0)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def is_open(fd: int) -> bool:
    return Path(f"/proc/self/fd/{fd}").exists()


def stream_on(hub: Hub, fd: int) -> Socket:
    return next(stream for stream in hub.streams if isinstance(stream, Socket) and stream.fileno() == fd)


def read_all(client: socket.socket) -> bytes:
    received = b""
    while data := client.recv(65536):
        received += data
    return received


async def test_an_adopted_socket_gets_its_opening_and_then_every_frame(
    hub: Hub, reactor: Reactor, pair: tuple[int, socket.socket]
) -> None:
    fd, client = pair
    reactor.adopt(fd, 0, sse.retry(2000), sent_status=hub.sent_status)
    publish(hub, 1)
    await hub.drain(0)
    received = read_all(client)
    assert received.startswith(sse.retry(2000))
    assert sse.price(a_tick(1)) in received
    assert received.endswith(b"\r\n0\r\n\r\n")
    assert not is_open(fd)


async def test_what_the_kernel_cannot_watch_is_refused_and_closed(
    hub: Hub, reactor: Reactor, tmp_path: Path
) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)  # epoll takes no folder
    with pytest.raises(PermissionError):
        reactor.adopt(fd, 0, b"")
    assert not is_open(fd)
    assert len(hub) == 0


async def test_many_replays_do_not_block_the_loop(
    hub: Hub, reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    reactor.slice = 3
    turns, advanced = itertools.count(), collections.Counter[int]()
    advance, turn = hub.advance, next(turns)

    def advance_and_count(stream: Stream) -> None:
        advanced[turn] += 1
        advance(stream)

    def count_turns() -> None:
        nonlocal turn
        turn = next(turns)
        loop.call_soon(count_turns)

    pairs = [connected() for _ in range(10)]
    for fd, _ in pairs:
        reactor.adopt(fd, 0, b"x" * 4_000_000)
    loop = asyncio.get_running_loop()
    count_turns()
    monkeypatch.setattr(hub, "advance", advance_and_count)
    for _, client in pairs:
        client.recv(4_000_000)
    await eventually(lambda: sum(advanced.values()) >= len(pairs))
    assert max(advanced.values()) <= 3
    for _, client in pairs:
        client.close()


async def test_a_client_that_sent_more_than_it_asked_still_gets_a_clean_end(
    hub: Hub, reactor: Reactor, pair: tuple[int, socket.socket]
) -> None:
    fd, client = pair
    reactor.adopt(fd, 0, b"")
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    await hub.drain(0)
    assert read_all(client).endswith(b"0\r\n\r\n")


async def test_input_below_the_limit_is_discarded(
    hub: Hub, reactor: Reactor, pair: tuple[int, socket.socket]
) -> None:
    fd, client = pair
    reactor.adopt(fd, 0, b"")
    for _ in range(2):
        client.sendall(b"x" * (reactor.input_limit // 2))
        await eventually(lambda: not unread(fd))
    publish(hub, 1)
    await hub.drain(0)
    assert sse.price(a_tick(1)) in read_all(client)


async def test_input_above_the_limit_closes_the_stream(
    hub: Hub, reactor: Reactor, pair: tuple[int, socket.socket]
) -> None:
    fd, client = pair
    other, silent = connected()
    reactor.adopt(fd, 0, b"")
    reactor.adopt(other, 0, b"")
    client.sendall(b"x" * (reactor.input_limit + 1))
    await eventually(lambda: len(hub) == 1)
    assert not is_open(fd)
    assert is_open(other)
    assert not reactor._received
    silent.close()


def unread(fd: int) -> int:
    """Bytes that the kernel holds for us."""
    size = fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4)
    return int.from_bytes(size, sys.byteorder)


async def test_failed_join_closes_the_socket(
    hub: Hub, reactor: Reactor, pair: tuple[int, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    fd, _ = pair
    monkeypatch.setattr(hub, "_replay", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        reactor.adopt(fd, 0, b"")
    assert not is_open(fd)
    assert not reactor._streams
    assert len(hub) == 0


@pytest.mark.parametrize("adopted", [False, True], ids=["by-a-stranger", "by-a-new-stream"])
async def test_a_descriptor_that_is_taken_over_during_a_round_gets_nothing_of_that_round(
    hub: Hub,
    reactor: Reactor,
    pair: tuple[int, socket.socket],
    adopted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    hub.limits = HubLimits(slice=1)
    second, gone = connected()
    fd, heir = connected()
    reactor.adopt(pair[0], 0, b"")
    reactor.adopt(second, 0, b"")
    publish(hub, 1)  # written to the first now, to the second in the loop's next turn
    hub.leave(stream_on(hub, second))
    os.dup2(fd, second)
    if adopted:
        reactor.adopt(second, hub.head, b"", sent_status=hub.sent_status)
    await a_few_turns()
    publish(hub, 2)
    await a_few_turns()
    await hub.drain(0)
    os.close(fd)
    if not adopted:
        os.close(second)
    assert sse.price(a_tick(1)) in read_all(pair[1])
    received = read_all(heir)
    assert sse.price(a_tick(1)) not in received
    assert (sse.price(a_tick(2)) in received) == adopted
    gone.close()
    heir.close()


@pytest.mark.parametrize("way", ["close", "half-close", "reset"])
async def test_a_client_that_hangs_up_is_forgotten_without_a_write(
    hub: Hub, reactor: Reactor, pair: tuple[int, socket.socket], way: str
) -> None:
    fd, client = pair
    reactor.adopt(fd, 0, b"")
    if way == "half-close":
        client.shutdown(socket.SHUT_WR)
    else:
        if way == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    await eventually(lambda: len(hub) == 0)
    assert not is_open(fd)


async def test_a_client_that_is_gone_before_it_is_adopted_leaves_nothing(
    hub: Hub, reactor: Reactor, pair: tuple[int, socket.socket]
) -> None:
    fd, client = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    reactor.adopt(fd, 0, sse.retry(2000))
    await eventually(lambda: len(hub) == 0)
    assert not is_open(fd)


async def test_a_reader_that_pauses_gets_everything_and_costs_no_polling_after(
    hub: Hub, reactor: Reactor, pair: tuple[int, socket.socket]
) -> None:
    fd, client = pair
    publish(hub, *range(1, 10_001))
    await asyncio.sleep(0)
    reactor.adopt(fd, 0, b"", sent_status=hub.sent_status)
    publish(hub, 10_001)
    everything = b"".join(sse.price(a_tick(tick_id)) for tick_id in range(1, 10_002))
    received = b""
    client.setblocking(False)
    async with asyncio.timeout(60):
        while len(received) < len(everything):
            received += await asyncio.get_running_loop().sock_recv(client, 65536)
    assert received == everything
    assert reactor._epoll.poll(0) == []


async def test_closing_it_closes_every_socket_and_its_own(hub: Hub, pair: tuple[int, socket.socket]) -> None:
    before = open_files()
    reactor = Reactor(hub)
    reactor.adopt(pair[0], 0, b"")
    reactor.close()
    assert len(hub) == 0
    assert open_files() == before - 1


def _leave(client: socket.socket) -> None:
    client.recv(65536)  # what is unread would make it a reset
    client.close()


def _half_close(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def _flood(client: socket.socket) -> None:
    client.sendall(b"x" * 20_000)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (_leave, Reason.CLIENT),
        (_half_close, Reason.CLIENT),
        (_reset, Reason.RESET),
        (_flood, Reason.INPUT),
    ],
)
async def test_reason_of_the_end_is_counted(
    hub: Hub, reactor: Reactor, end: Callable[[socket.socket], None], reason: Reason
) -> None:
    fd, client = connected()
    reactor.adopt(fd, 0, b"opening")
    await asyncio.sleep(0)
    end(client)
    await eventually(lambda: not len(hub))
    assert hub.counts.closed == {reason: 1}
    client.close()


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ETIMEDOUT, Reason.TIMED_OUT),
        (errno.EHOSTUNREACH, Reason.TIMED_OUT),
        (errno.ECONNRESET, Reason.RESET),
        (errno.EPIPE, Reason.RESET),
    ],
)
def test_unreachable_client_timed_out(number: int, reason: Reason) -> None:
    assert reason_of(OSError(number, "")) is reason
