"""sqlite:// — one file, with one thread that writes and two that read; see `file` for how it is opened."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span, StoreOptions
from btc_price_tracker.store.private import resolved, unusable
from btc_price_tracker.store.sqlite import candles, rows
from btc_price_tracker.store.sqlite.connection_thread import ConnectionThread
from btc_price_tracker.store.sqlite.errors import store_error
from btc_price_tracker.store.sqlite.file import OpenFile, open_file

PREFIX = "sqlite:///"


class SqliteStore:
    """Ticks in a file. Reads have a separate connection and thread, so that no append waits for them.

    Candles of years take seconds, so they have another one, and no other read waits for them.
    """

    def __init__(self, file: OpenFile, prune_batch: int) -> None:
        path = file.identity.path
        self._writer = ConnectionThread(file.writer, path, "writer")
        self._reader = ConnectionThread(file.reader, path, "reader", only_reads=True)
        self._candle_reader = ConnectionThread(file.candle_reader, path, "candles", only_reads=True)
        self._threads = self._writer, self._reader, self._candle_reader
        self._identity = file.identity
        self._lock = file.lock
        self._prune_batch = prune_batch
        self._was_intact = True  # whether the last check of the identity passed

    async def append(self, ticks: list[Tick]) -> int:
        """Store ticks in one transaction, which survives SIGKILL once this returns."""
        return await self._writer.run(self._insert, ticks)

    async def span(self) -> Span:
        """The range of ids that is stored now."""
        return await self._reader.run(rows.span)

    async def get(self, tick_id: int) -> Tick | None:
        """The tick with this id and its quotes, or None."""
        return await self._reader.run(rows.one, tick_id)

    async def newest(self, limit: int) -> list[Tick]:
        """The last `limit` ticks, oldest first, without their quotes."""
        return await self._reader.run(rows.newest, limit)

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The oldest `limit` ticks with after < id (≤ until), oldest first, without their quotes."""
        return await self._reader.run(rows.page, after, until, limit)

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The same with the quotes of each tick."""
        return await self._reader.run(rows.page_with_quotes, after, until, limit)

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        """Ids with after < id (≤ until), oldest first: at most `limit`, after skipping `skip`."""
        return await self._reader.run(rows.ids, after, until, skip, limit)

    async def candles(self, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
        """At most `limit` candles of `seconds` that begin in [first, last] seconds."""
        return await self._candle_reader.run(candles.candles, seconds, first, last, limit)

    async def prune(self, before: int) -> int:
        """Delete ticks with id < before in batches, between which appends run. The file reuses the space."""
        total = 0
        while deleted := await self._writer.run(self._delete_batch, before):
            total += deleted
        return total

    async def describe(self) -> str:
        """The version of the library and the path of the file."""
        return await self._reader.run(lambda _: f"SQLite {sqlite3.sqlite_version}, in {self._identity.path}")

    async def close(self) -> None:
        """Finish queued work, checkpoint the WAL into the file, and release the file and its lock."""
        async with AsyncExitStack() as last_comes_first:
            last_comes_first.callback(self._release)
            for thread in self._threads:  # the writer closes last: the last connection checkpoints the WAL
                last_comes_first.push_async_callback(thread.close)
            with suppress(StoreError, OSError):
                await self._writer.run(self._check_identity)

    def _insert(self, connection: sqlite3.Connection, ticks: list[Tick]) -> int:
        self._check_identity(connection)
        return rows.insert(connection, ticks)

    def _delete_batch(self, connection: sqlite3.Connection, before: int) -> int:
        self._check_identity(connection)
        return rows.delete_batch(connection, before, self._prune_batch)

    def _check_identity(self, connection: sqlite3.Connection) -> None:
        self._was_intact = False
        self._identity.check(connection)
        self._was_intact = True

    def _release(self) -> None:
        self._identity.close()
        found_damage = any(thread.found_damage for thread in self._threads)
        self._lock.release(clean=self._was_intact and not found_damage)


async def open_url(url: str, options: StoreOptions) -> SqliteStore:
    """Open the file that `url` names; the file and its folders are created if necessary. Raises StoreError.

    As usual for such URLs, the path follows the third slash: sqlite:///here.db is relative to the working directory,
    sqlite:////var/there.db is absolute.
    """
    return await asyncio.to_thread(_open, Path(url.removeprefix(PREFIX)), options)


def _open(name: Path, options: StoreOptions) -> SqliteStore:
    try:
        path = resolved(name.expanduser())
    except RuntimeError as error:  # an unknown user
        raise StoreError(f"{name} can't be resolved; name another file in STORE_URL") from error
    except OSError as error:
        raise unusable(name, error) from error
    try:
        return SqliteStore(open_file(path, options.operation_timeout), options.prune_batch)
    except sqlite3.Error as error:
        raise store_error(error, path) from error
    except OSError as error:
        raise unusable(path, error) from error
