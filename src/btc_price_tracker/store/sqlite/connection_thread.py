"""One connection and the one thread that uses it."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store.sqlite.errors import is_damage, store_error

CHECK_EVERY = 100_000  # instructions of SQLite's virtual machine, about a millisecond, between checks

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Job:
    """One call of `ConnectionThread.run`."""

    abandoned = False


class ConnectionThread:
    """Work on a connection, in the order in which it was asked for, off the event loop.

    Work whose caller is cancelled is not begun; if it has begun, a lane that `only_reads` interrupts it, any other
    finishes it.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, role: str, *, only_reads: bool = False
    ) -> None:
        self.connection = connection
        self._job = _Job()  # that the thread runs
        if only_reads:
            connection.set_progress_handler(lambda: self._job.abandoned, CHECK_EVERY)
        self.met_damage = False
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-{role}")
        self._closing: Future[None] | None = None

    async def run(self, work: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """`work(connection, *args)` in this lane's thread. Raises StoreError if SQLite fails, or once closed."""
        if self._closing is not None:
            raise StoreError("the store is closed")
        job = _Job()

        def do() -> T:
            self._job = job
            return work(self.connection, *args)

        try:
            return await asyncio.wrap_future(self._thread.submit(do))
        except sqlite3.Error as error:
            self.met_damage |= is_damage(error)
            raise store_error(error, self._path) from error
        except asyncio.CancelledError:
            job.abandoned = True
            raise

    async def close(self) -> None:
        """Finish what was asked for, then close the connection."""
        if self._closing is None:
            self._closing = self._thread.submit(self.connection.close)
            self._thread.shutdown(wait=False)  # takes no more, and ends when it is done
        await asyncio.shield(asyncio.wrap_future(self._closing))
