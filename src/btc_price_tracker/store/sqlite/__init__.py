"""sqlite:// — one file, a thread that writes and two that read; `file` has how it is opened and why."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Limits, Span
from btc_price_tracker.store.lock import Lock
from btc_price_tracker.store.sqlite import candles, rows
from btc_price_tracker.store.sqlite.connection_thread import ConnectionThread
from btc_price_tracker.store.sqlite.errors import store_error
from btc_price_tracker.store.sqlite.file import open_file
from btc_price_tracker.store.sqlite.file_identity import FileIdentity

PREFIX = "sqlite:///"


class SqliteStore:
    """Ticks in a file. Reads have a connection and a thread of their own, so none keeps an append waiting.

    Candles of years take seconds, so they have another, and keep no other read waiting.
    """

    def __init__(
        self,
        writer: ConnectionThread,
        reader: ConnectionThread,
        candle_reader: ConnectionThread,
        place: FileIdentity,
        lock: Lock,
    ) -> None:
        self._threads = writer, reader, candle_reader
        self._writer, self._reader, self._candle_reader = self._threads
        self._identity = place
        self._lock = lock
        self._was_in_place = True  # when it was last looked at

    async def append(self, ticks: list[Tick]) -> int:
        """Keep these ticks in one transaction. When this returns they are safe from `kill -9`."""
        return await self._writer.run(self._insert, ticks)

    async def span(self) -> Span:
        """What is held now."""
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
        """Drop ticks with id < before; an append waits for one step at most. The file reuses the room."""
        total = 0
        while gone := await self._writer.run(self._delete_some, before):
            total += gone
        return total

    async def describe(self) -> str:
        """The library's version, and where the file lies."""
        return await self._reader.run(lambda _: f"SQLite {sqlite3.sqlite_version}, in {self._identity.path}")

    async def close(self) -> None:
        """Finish what was begun, fold the log into the file and let go of it."""
        async with AsyncExitStack() as last_comes_first:
            last_comes_first.callback(self._let_go)
            for lane in self._threads:  # the writer goes last: the last one to leave folds the log
                last_comes_first.push_async_callback(lane.close)
            with suppress(StoreError, OSError):
                await self._writer.run(self._check_place)

    def _insert(self, connection: sqlite3.Connection, ticks: list[Tick]) -> int:
        self._check_place(connection)
        return rows.insert(connection, ticks)

    def _delete_some(self, connection: sqlite3.Connection, before: int) -> int:
        self._check_place(connection)
        return rows.delete_some(connection, before)

    def _check_place(self, connection: sqlite3.Connection) -> None:
        self._was_in_place = False
        self._identity.check(connection)
        self._was_in_place = True

    def _let_go(self) -> None:
        self._identity.close()
        met_damage = any(lane.met_damage for lane in self._threads)
        self._lock.release(clean=self._was_in_place and not met_damage)


async def open_url(url: str, _limits: Limits) -> SqliteStore:
    """The store in the file that `url` names, which is made if need be, with its folders.

    As everywhere else that has such URLs, what follows the third slash is the path: sqlite:///here.db, in the
    working directory, and sqlite:////var/there.db. Raises StoreError.
    """
    return await asyncio.to_thread(_open_path, Path(url.removeprefix(PREFIX)))


def _open_path(name: Path) -> SqliteStore:
    try:
        path = name.expanduser().resolve()
    except (RuntimeError, OSError) as error:  # no such user; a link that leads to itself
        raise StoreError(f"{name} leads nowhere; name another file in STORE_URL") from error
    try:
        file = open_file(path)
    except sqlite3.Error as error:
        raise store_error(error, path) from error
    except OSError as error:
        at_fault = error.filename or path
        raise StoreError(
            f"{path} can't be opened: {error.strerror}; check {at_fault} and its folder"
        ) from error
    return SqliteStore(
        ConnectionThread(file.writer, path, "writer"),
        ConnectionThread(file.reader, path, "reader", only_reads=True),
        ConnectionThread(file.candle_reader, path, "candles", only_reads=True),
        file.place,
        file.lock,
    )
