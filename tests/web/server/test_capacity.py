"""Connections never use the descriptors reserved for sources and store; those without a request are evicted first."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.testing import eventually
from btc_price_tracker.web.server.capacity import LOG_INTERVAL, Capacity
from btc_price_tracker.web.server.limits import ConnectionLimits
from live import Client, Live, live

FILES = 40
MOST = 30  # connections, a quarter of the files being kept back
WAITING = b"GET /prices/next?after=9007199254740991 HTTP/1.1\r\nHost: x\r\n\r\n"
UNFINISHED = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
async def server() -> AsyncIterator[Live]:
    limits = ConnectionLimits(check_interval=0.05, head_timeout=60)
    async with live(limits=limits, files=FILES) as server:
        yield server


async def connect(server: Live, data: bytes = b"") -> Client:
    client = Client(*await asyncio.open_connection("127.0.0.1", server.port))
    client.writer.write(data)
    return client


def close(clients: list[Client]) -> None:
    for client in clients:
        client.close()


async def test_idle_connections_are_evicted_and_streams_stay(server: Live) -> None:
    await server.publish()
    streams = [await Client.get(server.port, "/prices/stream") for _ in range(5)]
    for stream in streams:
        await stream.prices(1)
    with capture_logs() as lines:
        silent = [await connect(server) for _ in range(2 * MOST)]
        for _ in range(3):
            async with await Client.get(server.port, "/healthz") as client:
                assert client.status == 200
    fresh = await server.publish()
    for stream in streams:
        assert await stream.prices(1) == [fresh]
    assert len(server.server.server_state.connections) + len(server.hub) <= MOST + 4  # accepted in one turn
    (line,) = lines
    assert line["open_file_limit"] == FILES
    assert "ulimit -n" in line["remedy"]
    close(silent + streams)


async def test_connections_with_half_a_head_are_evicted_and_requests_finish(server: Live) -> None:
    waiting = await connect(server, WAITING)
    await eventually(lambda: len(server.server.server_state.tasks) == 1)
    attackers = [await connect(server, UNFINISHED) for _ in range(3 * MOST)]
    async with await Client.get(server.port, "/healthz") as client:
        assert client.status == 200
    assert await attackers[0].reader.read() == b""
    assert len(server.server.server_state.tasks) == 1
    close([waiting, *attackers])


async def test_accepting_pauses_without_idle_connections_and_resumes(server: Live) -> None:
    busy = [await connect(server, WAITING) for _ in range(MOST)]
    await eventually(lambda: len(server.server.server_state.tasks) == MOST)
    newcomers = [
        await connect(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")  # the kernel takes them in
        for _ in range(20)
    ]
    await eventually(lambda: not server.server.servers)
    served = [asyncio.create_task(client.head()) for client in newcomers]
    await asyncio.sleep(0)
    close(busy)
    await asyncio.gather(*served)
    assert all(client.status == 200 for client in newcomers)
    assert server.server.servers
    close(newcomers)


async def test_accepting_resumes_on_every_socket_although_descriptors_ran_out(
    server: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere, duplicate, failures = (
        len(server.server.servers),
        socket.socket.dup,
        [OSError(errno.EMFILE, "")],
    )

    def dup(sock: socket.socket) -> socket.socket:
        if server.server.servers and failures:  # after the first one
            raise failures.pop()
        return duplicate(sock)

    monkeypatch.setattr(socket.socket, "dup", dup)
    server.server._pause()
    await eventually(lambda: not failures)
    await eventually(lambda: len(server.server.servers) == everywhere)


async def test_paused_server_shuts_down(server: Live) -> None:
    busy = [await connect(server, WAITING) for _ in range(MOST + 1)]
    await eventually(lambda: not server.server.servers)
    close(busy)


class Idle:
    """A connection as far as its capacity looks at it."""

    is_idle = True

    def __init__(self, idle_since: float, closed: list[float]) -> None:
        self.idle_since = idle_since
        self.transport = self
        self.close = lambda: closed.append(idle_since)


def test_oldest_idle_go_first_and_the_limit_is_logged_once() -> None:
    closed: list[float] = []
    capacity = Capacity(
        [Idle(since, closed) for since in (3.0, 1.0, 9.0, 2.0, 8.0, 7.0, 6.0, 5.0)], lambda: 90, 130
    )
    assert capacity.full
    with capture_logs() as lines:
        assert capacity.make_room(100)
        assert closed == [1.0, 2.0, 3.0, 5.0, 6.0, 7.0]
        for now in (100 + LOG_INTERVAL - 1, 100 + 2 * LOG_INTERVAL - 2):
            capacity.make_room(now)
        assert len(lines) == 1
        capacity.make_room(100 + 4 * LOG_INTERVAL)
    assert len(lines) == 2


@pytest.mark.parametrize(("files", "most"), [(40, 30), (1024, 896), (1_048_576, 1_048_448)])
def test_reserve_of_descriptors(files: int, most: int) -> None:
    assert Capacity([], lambda: 0, files).most == most
    assert Capacity([], lambda: most, files).full
    assert not Capacity([], lambda: most - 1, files).full
