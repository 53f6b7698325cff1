"""Hostile connections: each ends in bounded time and memory, leaves nothing, and harms no honest client."""

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from btc_price_tracker.testing import eventually
from btc_price_tracker.web.server.connection import Connection
from btc_price_tracker.web.server.limits import ConnectionLimits
from bystander import bystander
from live import Live, live

LIMITS = ConnectionLimits(head_timeout=0.4, write_timeout=0.5, check_interval=0.05)
CROWD = 20
TOGETHER = (
    4096 + 3 * 65_536
)  # bytes that the server may hold for one: what it reads at a time, what it writes
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /healthz HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
MEGABYTE = 1024 * 1024


class Attacker:
    """One connection that is out for harm."""

    def __init__(self, server: Live, receive_buffer: int = 0) -> None:
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.connect(("127.0.0.1", server.port))
        self.sock.setblocking(False)
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.sock, data)

    async def trickle(self, data: bytes) -> None:
        """A byte at a time, for ever: each within any timeout."""
        while True:
            for byte in data:
                await self.send(bytes([byte]))
                await asyncio.sleep(LIMITS.head_timeout / 10)

    async def flood(self, data: bytes) -> None:
        while True:
            await self.send(data)

    async def read(self) -> bytes:
        """All that comes until the server closes."""
        received = b""
        while data := await self._loop.sock_recv(self.sock, 65536):
            received = (received + data)[-MEGABYTE:]
        return received

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Attack = Callable[[Attacker], Awaitable[None]]


async def until_closed(attacker: Attacker, *going_on: Awaitable[None]) -> bytes:
    """What comes until the server closes, while something else goes on."""
    tasks = [asyncio.ensure_future(each) for each in going_on]
    try:
        return await attacker.read()
    except ConnectionError:
        return b""
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def silence(attacker: Attacker) -> None:
    await until_closed(attacker)


async def slow_head(attacker: Attacker) -> None:
    await attacker.send(b"GET / HTTP/1.1\r\n")
    await until_closed(attacker, attacker.trickle(b"X-A: a\r\n"))


async def slow_second_head(attacker: Attacker) -> None:
    await attacker.send(REQUEST)
    await until_closed(attacker, attacker.trickle(b"GET /" + b"a" * 1000))


async def empty_lines(attacker: Attacker) -> None:
    await until_closed(attacker, attacker.trickle(b"\r\n"))


async def flood_of_empty_lines(attacker: Attacker) -> None:
    await until_closed(attacker, attacker.flood(b"\r\n" * 1000))


async def slow_body(attacker: Attacker) -> None:
    await attacker.send(POST + b"Content-Length: 100000\r\n\r\n")
    await until_closed(attacker, attacker.trickle(b"a"))


async def slow_chunks(attacker: Attacker) -> None:
    await attacker.send(CHUNKED)
    await until_closed(attacker, attacker.trickle(b"1\r\na\r\n"))


async def slow_trailers(attacker: Attacker) -> None:
    await attacker.send(CHUNKED + b"0\r\n")
    await until_closed(attacker, attacker.trickle(b"X-A: a\r\n"))


async def slow_body_on_get(attacker: Attacker) -> None:
    await attacker.send(REQUEST.replace(b"\r\n\r\n", b"\r\nContent-Length: 100000\r\n\r\n"))
    await until_closed(attacker, attacker.trickle(b"a"))


async def endless_chunk(attacker: Attacker) -> None:
    await attacker.send(CHUNKED + b"ffffffffffffffff\r\n")
    await until_closed(attacker, attacker.flood(bytes(65_536)))


async def endless_extension(attacker: Attacker) -> None:
    await attacker.send(CHUNKED + b"5;")
    await until_closed(attacker, attacker.flood(b"a" * 65_536))


async def endless_trailers(attacker: Attacker) -> None:
    await attacker.send(CHUNKED + b"0\r\n")
    await until_closed(attacker, attacker.flood(b"X-A: a\r\n" * 8000))


async def endless_head(attacker: Attacker) -> None:
    await attacker.send(b"GET / HTTP/1.1\r\n")
    await until_closed(attacker, attacker.flood(b"X-A: a\r\n" * 8000))


async def endless_target(attacker: Attacker) -> None:
    await attacker.send(b"GET /")
    await until_closed(attacker, attacker.flood(b"a" * 65_536))


async def garbage(attacker: Attacker) -> None:
    await until_closed(attacker, attacker.flood(bytes(range(256)) * 256))


async def hello_of_tls(attacker: Attacker) -> None:
    await attacker.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(506))
    assert (await until_closed(attacker)).startswith(b"HTTP/1.1 400 ")


async def pipeline_unread(attacker: Attacker) -> None:
    """Requests as fast as they are taken, of which no response is read."""
    flood = asyncio.ensure_future(attacker.flood(DOCUMENT * 100))
    try:
        await flood
    except ConnectionError:
        return


async def slow_read(attacker: Attacker) -> None:
    """A byte of the responses at a time, out of what the kernel has: reading goes on, and nothing comes of it."""
    await attacker.send(DOCUMENT * 50)
    loop = asyncio.get_running_loop()
    try:
        while await loop.sock_recv(attacker.sock, 1):
            await attacker.send(b"\r")  # a reset shows in sending only, as long as there is something to read
            await asyncio.sleep(LIMITS.write_timeout / 10)
    except ConnectionError:
        return


async def reset_at_once(attacker: Attacker) -> None:
    attacker.reset()


async def reset_in_the_head(attacker: Attacker) -> None:
    await attacker.send(REQUEST[:9])
    attacker.reset()


async def reset_after_the_request(attacker: Attacker) -> None:
    await attacker.send(DOCUMENT * 3)
    attacker.reset()


async def reset_of_a_stream(attacker: Attacker) -> None:
    await attacker.send(b"GET /prices/stream?since=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.get_running_loop().sock_recv(attacker.sock, 1)
    attacker.reset()


async def half_close(attacker: Attacker) -> None:
    await attacker.send(REQUEST[:9])
    attacker.sock.shutdown(socket.SHUT_WR)
    await until_closed(attacker)


ATTACKS: tuple[Attack, ...] = (
    silence,
    slow_head,
    slow_second_head,
    empty_lines,
    flood_of_empty_lines,
    slow_body,
    slow_chunks,
    slow_trailers,
    slow_body_on_get,
    endless_chunk,
    endless_extension,
    endless_trailers,
    endless_head,
    endless_target,
    garbage,
    hello_of_tls,
    pipeline_unread,
    slow_read,
    reset_at_once,
    reset_in_the_head,
    reset_after_the_request,
    reset_of_a_stream,
    half_close,
)


@pytest.fixture
async def server() -> AsyncIterator[Live]:
    async with live(limits=LIMITS, keep_alive=1) as server:
        yield server


def open_connections(server: Live) -> list[Connection]:
    return [each for each in server.server.server_state.connections if isinstance(each, Connection)]


def held(connection: Connection) -> int:
    """Bytes that a connection keeps: received and not parsed, and written and not sent."""
    return len(connection._unparsed) + connection.transport.get_write_buffer_size()


async def most_held(server: Live) -> int:
    """The most that any connection holds, until cancelled."""
    most = 0
    try:
        while True:
            most = max([most, *map(held, open_connections(server))])
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        return most


async def attack(server: Live, kind: Attack) -> None:
    attacker = Attacker(server, receive_buffer=4096 if kind in (slow_read, pipeline_unread) else 0)
    try:
        async with asyncio.timeout(60):
            await kind(attacker)
    finally:
        attacker.sock.close()


@pytest.mark.parametrize("kind", ATTACKS, ids=lambda kind: kind.__name__)
async def test_attack_ends_bounded_and_leaves_nothing(server: Live, kind: Attack) -> None:
    async with bystander(server) as honest:
        await eventually(lambda: honest.statuses)
        measured = asyncio.create_task(most_held(server))
        await asyncio.gather(*(attack(server, kind) for _ in range(CROWD)))
        measured.cancel()
        assert await measured <= TOGETHER + len(DOCUMENT) * 100
        await eventually(lambda: len(open_connections(server)) == 1)  # that of the honest requests
        assert len(server.hub) == 1
    assert honest.is_unharmed
    await eventually(lambda: not open_connections(server) and not server.server.server_state.tasks)
    gc.collect()
    assert not [thing for thing in gc.get_objects() if isinstance(thing, Connection)]


async def test_slow_reader_leaves_nothing_in_the_kernel_either(server: Live) -> None:
    attacker = Attacker(server, receive_buffer=4096)
    await attacker.send(DOCUMENT * 50)
    await eventually(lambda: unsent_in_kernel(server.port) > 0)
    await eventually(lambda: not open_connections(server))
    assert unsent_in_kernel(server.port) == 0
    attacker.sock.close()


def unsent_in_kernel(port: int) -> int:
    """Bytes that sockets of a server have in the kernel, those included that the server has closed."""
    fields = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(each[4].split(":")[0], 16) for each in fields if each[1].endswith(f":{port:04X}"))


async def test_flood_of_answered_requests_leaves_turns_for_others(server: Live) -> None:
    async with bystander(server) as honest:
        attackers = [Attacker(server) for _ in range(5)]
        floods = [until_closed(each, each.flood(REQUEST * 100)) for each in attackers]
        flooding = asyncio.gather(*floods)
        await eventually(lambda: len(honest.statuses) > 20)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        for each in attackers:
            each.reset()
    assert honest.is_unharmed
