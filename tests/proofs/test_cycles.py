"""Ten thousand clients that come and go in every manner leave nothing behind."""

import asyncio
import socket
import struct
from collections.abc import Callable
from itertools import cycle, islice

import pytest

from proofs.process import Service, service
from proofs.reader import request

STREAM = request()
HEAD = request(method="HEAD")
OPTIONS = request(method="OPTIONS")
LATEST = request("/prices/latest")
RESET = struct.pack("ii", 1, 0)
AT_ONCE = 50  # clients
ALLOWED_GROWTH = 4000  # KiB over eight thousand cycles: half a kilobyte each

Way = Callable[[socket.socket], None]


def send(data: bytes, *, read: bool, reset: bool = False) -> Way:
    """A client that sends this, reads an answer or doesn't, and ends with FIN or RST."""

    def come_and_go(client: socket.socket) -> None:
        if data:
            client.sendall(data)
        if read:
            assert client.recv(65536)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    return come_and_go


def half_close(client: socket.socket) -> None:
    """No more from us, but we'd go on listening."""
    client.sendall(STREAM)
    client.shutdown(socket.SHUT_WR)


WAYS: dict[str, Way] = {
    "stream, FIN": send(STREAM, read=True),
    "stream, RST": send(STREAM, read=True, reset=True),
    "stream, gone without reading": send(STREAM, read=False),
    "stream, RST without reading": send(STREAM, read=False, reset=True),
    "half-closed stream": half_close,
    "half a request": send(STREAM[:20], read=False),
    "half a request, RST": send(STREAM[:20], read=False, reset=True),
    "nothing": send(b"", read=False),
    "nothing, RST": send(b"", read=False, reset=True),
    "HEAD": send(HEAD, read=True),
    "HEAD, RST": send(HEAD, read=True, reset=True),
    "OPTIONS": send(OPTIONS, read=True),
    "a kept connection, RST": send(LATEST, read=True, reset=True),
    "two requests at once": send(LATEST + STREAM, read=True),
    "garbage": send(b"\x16\x03\x01\r\n\r\n", read=True),
}


def come_and_go(port: int, cycles: int) -> None:
    """So many clients, `AT_ONCE` open at a time, each in the next of the ways."""
    for batch in range(0, cycles, AT_ONCE):
        clients = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(AT_ONCE)]
        ways = islice(cycle(WAYS.values()), batch, batch + AT_ONCE)
        for client, way in zip(clients, ways, strict=True):
            way(client)
        for client in clients:
            client.close()


async def at_rest(server: Service) -> dict[str, int]:
    """What there is once the last client's going has been seen."""
    async with asyncio.timeout(60):
        while True:
            now: dict[str, int] = await server.ask("census")
            if now["streams"] == now["connections"] == now["tasks"] == 0:
                return now
            await asyncio.sleep(0.1)


async def cycles_under_way(server: Service, cycles: int) -> dict[str, int]:
    """What is left of so many clients. Prices come while they do, and none afterwards that would find the dead."""
    await asyncio.gather(asyncio.to_thread(come_and_go, server.port, cycles), server.ask("publish", 50, 0.02))
    return await at_rest(server)


@pytest.mark.parametrize(("detach", "cycles"), [(True, 10_000), (False, 3_000)], ids=["detached", "fallback"])
async def test_connection_cycles_leave_no_objects_files_or_memory(detach: bool, cycles: int) -> None:  # noqa: FBT001 - a parameter of the test
    async with service(detach=detach, store_size=100) as server:
        before = await cycles_under_way(server, 150)
        warm = await cycles_under_way(server, cycles // 5)
        after = await cycles_under_way(server, cycles - cycles // 5)
    for name in (
        "Socket",
        "Mailbox",
        "Lag",
        "PriceStream",
        "DetachableResponse",
        "Connection",
        "RequestResponseCycle",
    ):
        assert after[name] == 0, name
    assert after["files"] == before["files"]
    for name in ("TimerHandle", "Task"):  # of the server's own loops, some of which are between two sleeps
        assert after[name] <= before[name] + 2, name
    assert after["kilobytes"] - warm["kilobytes"] < ALLOWED_GROWTH
