"""A database connection and the one thread that uses it."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from btc_price_tracker.errors import StoreClosed
from btc_price_tracker.store.sqlite.errors import is_damage, store_error

# Instructions of SQLite's virtual machine, about a millisecond, between two checks for cancellation.
PROGRESS_INTERVAL = 100_000

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Job:
    """One call of `ConnectionThread.run`."""

    abandoned = False


class ConnectionThread:
    """Runs work on a connection off the event loop, in the order of submission.

    Work whose caller is cancelled is not started. If it has started, it is interrupted where the connection
    `only_reads`, and otherwise completed.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, role: str, *, only_reads: bool = False
    ) -> None:
        self.connection = connection
        self.found_damage = False
        self._path = path
        self._job = _Job()  # the one that the thread runs
        if only_reads:
            connection.set_progress_handler(lambda: self._job.abandoned, PROGRESS_INTERVAL)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-{role}")
        self._closing: Future[None] | None = None

    async def run(self, work: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """Call `work(connection, *args)` in the thread. Raises StoreError, after close() StoreClosed."""
        if self._closing is not None:
            raise StoreClosed
        job = _Job()

        def do() -> T:
            self._job = job
            return work(self.connection, *args)

        try:
            return await asyncio.wrap_future(self._thread.submit(do))
        except sqlite3.Error as error:
            self.found_damage |= is_damage(error)
            raise store_error(error, self._path) from error
        except asyncio.CancelledError:
            job.abandoned = True
            raise

    async def close(self) -> None:
        """Complete the submitted work, then close the connection."""
        if self._closing is None:
            self._closing = self._thread.submit(self.connection.close)
            self._thread.shutdown(wait=False)  # the thread accepts no more work and ends after this
        await asyncio.shield(asyncio.wrap_future(self._closing))
