"""Attackers from many addresses, all kinds at once. A process of its own, until it is ended.

    python bench/attackers.py PORT

On SIGTERM it says as JSON how many connections each kind has made, and how many were refused or cut.
"""

import asyncio
import json
import os
import signal
import socket
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable

import uvloop

ADDRESSES = 20  # of each kind
REQUEST = b"GET /prices/latest HTTP/1.1\r\nHost: x\r\n\r\n"
DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
STREAM = b"GET /prices/stream?since=0 HTTP/1.1\r\nHost: x\r\n\r\n"
PAUSE = 0.05  # seconds before one that was cut comes again


class Attacker:
    """One connection at a time, from an address of its own kind."""

    def __init__(self, port: int, address: str, counts: Counter[str]) -> None:
        self.port = port
        self.address = address
        self.counts = counts
        self.loop = asyncio.get_running_loop()

    async def connect(self) -> None:
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.bind((self.address, 0))
        await self.loop.sock_connect(self.sock, ("127.0.0.1", self.port))

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.sock, data)

    async def read(self, size: int = 65536) -> bytes:
        data = await self.loop.sock_recv(self.sock, size)
        if not data:
            raise ConnectionError
        return data

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


async def slow_heads(attacker: Attacker) -> None:
    await attacker.send(b"GET / HTTP/1.1\r\nX-A: ")
    while True:
        await asyncio.sleep(1)
        await attacker.send(b"a")


async def connect_and_wait(attacker: Attacker) -> None:
    await attacker.read()


async def floods(attacker: Attacker) -> None:
    while True:
        await attacker.send(REQUEST)
        await attacker.read()
        attacker.counts["floods responses"] += 1


async def pipelining(attacker: Attacker) -> None:
    while True:
        await attacker.send(DOCUMENT * 100)


async def huge_heads(attacker: Attacker) -> None:
    await attacker.send(b"GET / HTTP/1.1\r\n")
    while True:
        await attacker.send(b"X-A: " + b"a" * 4000 + b"\r\n")


async def garbage(attacker: Attacker) -> None:
    while True:
        await attacker.send(os.urandom(4096))


async def hoarding(attacker: Attacker) -> None:
    """Open a stream with all of history, and read none of it."""
    await attacker.send(STREAM)
    head = await attacker.read(12)
    if not head.endswith(b"200"):
        raise ConnectionError
    await asyncio.sleep(3600)


async def resets(attacker: Attacker) -> None:
    await attacker.send(REQUEST)
    attacker.reset()


KINDS: dict[Callable[[Attacker], Awaitable[None]], int] = {  # connections at a time
    slow_heads: 1000,
    connect_and_wait: 1000,
    floods: 40,
    pipelining: 40,
    huge_heads: 40,
    garbage: 40,
    hoarding: 1000,
    resets: 40,
}


async def again(kind: Callable[[Attacker], Awaitable[None]], attacker: Attacker) -> None:
    """Attack, and come again after being cut off."""
    while True:
        try:
            await attacker.connect()
            attacker.counts[f"{kind.__name__} connections"] += 1
            await kind(attacker)
        except OSError:
            attacker.counts[f"{kind.__name__} cut"] += 1
        attacker.sock.close()
        await asyncio.sleep(PAUSE)


async def main(port: int) -> None:
    counts: Counter[str] = Counter()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    tasks = [
        asyncio.ensure_future(again(kind, Attacker(port, f"127.0.{10 + number}.{1 + n % ADDRESSES}", counts)))
        for number, (kind, connections) in enumerate(KINDS.items())
        for n in range(connections)
    ]
    await ended.wait()
    for task in tasks:
        task.cancel()
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
