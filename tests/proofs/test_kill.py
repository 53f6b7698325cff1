"""`kill -9`, a hundred times, while prices are published and streamed: what anybody saw is in the store."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from btc_price_tracker.store import open_store
from btc_price_tracker.store.paging import pages
from proofs.reader import Reader, request

PUBLISHER = Path(__file__).with_name("publisher.py")
TESTS = PUBLISHER.parents[1]
CLIENTS = 8
RING = 100  # ticks: half a second; some rounds are longer
ROUNDS = 50  # on each of two databases
HOUR = 3_600_000  # ms


@dataclass(slots=True)
class Watcher:
    """A client that resumes after every crash, and everything that it ever saw."""

    seen: list[int] = field(default_factory=list)
    gaps: int = 0  # how many

    async def watch(self, port: int, until_dead: asyncio.Event) -> None:
        reader = await Reader.open(port, request(last_event_id=self.seen[-1] if self.seen else None))
        await until_dead.wait()
        await reader.gone.wait()
        self.seen += reader.ids
        self.gaps += len(reader.gaps)


@asynccontextmanager
async def publishers() -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PUBLISHER),
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()  # the current server has been killed by then, or dies with its clients' test
        await process.wait()


async def round_of(publisher: Process, watchers: list[Watcher], seconds: float, **options: Any) -> None:
    """Start a server, let everybody watch it for a while, and kill it."""
    assert publisher.stdin is not None
    assert publisher.stdout is not None
    publisher.stdin.write(msgspec.json.encode(options) + b"\n")
    pid, port = map(int, (await publisher.stdout.readline()).split())
    dead = asyncio.Event()
    try:
        watching = [asyncio.create_task(watcher.watch(port, dead)) for watcher in watchers]
        await asyncio.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGKILL)
    dead.set()
    await asyncio.gather(*watching)
    assert await publisher.stdout.readline() == b"dead\n"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_every_price_sent_survives_kill_9_in_order_and_once(
    kind: str, new_store_url: Callable[[str], Awaitable[str]]
) -> None:
    chance = random.Random(kind)
    watchers = [Watcher() for _ in range(CLIENTS)]
    url = await new_store_url(kind)
    async with publishers() as publisher:
        for _ in range(ROUNDS):
            await round_of(
                publisher,
                watchers[: chance.randint(2, CLIENTS)],
                seconds=chance.choice([0.01, 0.05, 0.1, 0.2, 0.7]),
                behind=chance.choice([0, HOUR, 5 * HOUR]),  # the clock is set back and forth meanwhile
                store_url=url,
                store_size=RING,
            )
    store = await open_store(url, capacity=1)
    stored = [tick.id async for page in pages(store, 0) for tick in page]
    await store.close()
    assert stored == sorted(set(stored))
    assert len(stored) > ROUNDS
    for watcher in watchers:
        assert not watcher.gaps
        first, last = stored.index(watcher.seen[0]), stored.index(watcher.seen[-1])
        assert watcher.seen == stored[first : last + 1]
