"""A thread drops or interrupts reads whose caller is cancelled."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from btc_price_tracker.store.sqlite.connection_thread import ConnectionThread
from btc_price_tracker.testing import eventually

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.fixture
async def thread() -> AsyncIterator[ConnectionThread]:
    thread = ConnectionThread(connection(), Path("prices.db"), "test", only_reads=True)
    yield thread
    await thread.close()


def connection() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", check_same_thread=False)


def endless(connection: sqlite3.Connection, begun: threading.Event) -> None:
    begun.set()
    connection.execute(ENDLESS).fetchall()


def answer(connection: sqlite3.Connection) -> int:
    (value,) = connection.execute("SELECT 42").fetchone()
    return int(value)


async def test_cancelled_read_is_interrupted_and_the_next_one_runs(thread: ConnectionThread) -> None:
    for _ in range(20):  # whether a statement is running by then or about to start
        begun = threading.Event()
        reading = asyncio.create_task(thread.run(endless, begun))
        await eventually(begun.is_set)
        waiting = asyncio.create_task(thread.run(answer))
        await asyncio.sleep(0)
        reading.cancel()
        assert await asyncio.wait_for(waiting, 30) == 42


async def test_cancelled_queued_reads_never_start(thread: ConnectionThread) -> None:
    begun, never = threading.Event(), threading.Event()
    reading = asyncio.create_task(thread.run(endless, begun))
    await eventually(begun.is_set)
    waiting = [asyncio.create_task(thread.run(endless, never)) for _ in range(100)]
    await asyncio.sleep(0)
    for task in (*waiting, reading):
        task.cancel()
    assert await asyncio.wait_for(thread.run(answer), 30) == 42
    assert not never.is_set()


async def test_cancelled_write_is_completed() -> None:
    thread = ConnectionThread(connection(), Path("prices.db"), "writer")
    begun, go_on, finished = threading.Event(), threading.Event(), threading.Event()

    def write(connection: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(30)
        connection.execute("SELECT 1")
        finished.set()

    writing = asyncio.create_task(thread.run(write))
    await eventually(begun.is_set)
    writing.cancel()
    await asyncio.wait({writing})
    go_on.set()
    await thread.close()
    assert finished.is_set()
