"""SIGKILL: acknowledged ticks are stored once and in order, and the lock is released."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from btc_price_tracker.store import open_store
from btc_price_tracker.store.paging import pages

pytestmark = pytest.mark.proof

ROUNDS = 20

# Appends one to three ticks at a time, with quotes, and prints the last id once they are stored.
SERVER = """
import asyncio, sys
from decimal import Decimal
from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Tick
from btc_price_tracker.store import open_store

QUOTES = (AssessedQuote(source="kraken", kind=Kind.EXCHANGE, last=Decimal("69420.10000"), used=True),)

def tick(tick_id):
    return Tick(tick_id, Decimal("69420.25"), Status.OK, 3, Decimal("3.10"), 0, "vote3/1", QUOTES)

async def main(path):
    store = await open_store("sqlite:///" + path, capacity=1)
    next_id = (await store.span()).last + 1
    while True:
        batch = [tick(next_id + n) for n in range(1 + next_id % 3)]
        await store.append(batch)
        next_id += len(batch)
        print(next_id - 1, flush=True)

asyncio.run(main(sys.argv[1]))
"""


def serve_and_kill(path: Path, lines: int) -> int:
    """Run a server until it has acknowledged this often, kill it; returns the last acknowledged id."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(path)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        for _ in range(lines):
            line = server.stdout.readline()
        server.send_signal(signal.SIGKILL)
        return int((line + server.stdout.read()).split()[-1])


async def test_acknowledged_ticks_survive_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "prices.db"
    chance = random.Random(20261122)
    for _ in range(ROUNDS):
        acknowledged = serve_and_kill(path, chance.randint(1, 40))
        store = await open_store(
            f"sqlite:///{path}", capacity=1
        )  # immediately: the lock was released with its process
        stored = [tick.id async for page in pages(store, 0) for tick in page]
        last = await store.get(stored[-1])
        await store.close()
        assert stored == [*range(1, len(stored) + 1)]
        assert stored[-1] >= acknowledged
        assert last is not None
        assert last.quotes
