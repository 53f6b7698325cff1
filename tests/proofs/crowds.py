"""Crowds of clients at one instance: more than it takes, and some that hardly read."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from live import Client
from proofs.instances import Instance
from proofs.reader import Reader, request

KNOCKS = 5  # a second
TRICKLE = 4096  # bytes that a slow client reads a second


@asynccontextmanager
async def background(*coroutines: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run something that never ends, for as long as the block."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def connect_storm(instance: Instance, places: int) -> AsyncIterator[None]:
    """Take every place, and go on asking for one."""
    async with readers(instance, places), background(_knock(instance.port)):
        yield


@asynccontextmanager
async def slow_clients(instance: Instance, after: int, number: int, others: int) -> AsyncIterator[None]:
    """So many resume after an old id and read a trickle, one after the other; others read everything."""
    asked = request(last_event_id=after)
    slow = [_read_slowly(instance.port, asked, delay) for delay in range(number)]
    async with readers(instance, others), background(*slow):
        yield


@asynccontextmanager
async def readers(instance: Instance, number: int) -> AsyncIterator[None]:
    """So many streams that resume with the last id."""
    last = await instance.get("/prices/latest")
    opened = [await Reader.open(instance.port, request(last_event_id=last["id"])) for _ in range(number)]
    try:
        yield
    finally:
        for each in opened:
            each.close()


async def _knock(port: int) -> None:
    while True:
        with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
            async with await Client.get(port, "/prices/stream"):
                pass
        await asyncio.sleep(1 / KNOCKS)


async def _read_slowly(port: int, asked: bytes, delay: float) -> None:
    """Read a trickle; after a disconnect, begin again.

    TCP_USER_TIMEOUT disconnects it each half a minute: where its window is smaller than what the server's kernel would
    send at once, reading a little is no progress. So not all may begin at the same time.
    """
    loop = asyncio.get_running_loop()
    await asyncio.sleep(delay)
    while True:
        with contextlib.suppress(OSError), _socket() as sock:
            await loop.sock_connect(sock, ("127.0.0.1", port))
            await loop.sock_sendall(sock, asked)
            while await loop.sock_recv(sock, TRICKLE):
                await asyncio.sleep(1)
        await asyncio.sleep(1)


@contextmanager
def _socket() -> Iterator[socket.socket]:
    """One for which the kernel holds little."""
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield sock


async def ask(instance: Instance, paths: Sequence[str]) -> None:
    """Ask for these again and again."""
    while True:
        for path in paths:
            await instance.get(path)
        await asyncio.sleep(0.5)
