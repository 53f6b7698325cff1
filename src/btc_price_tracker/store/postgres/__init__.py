"""postgresql:// — a database that may have other users, among them other instances of this service."""

import asyncio
from contextlib import AsyncExitStack

import asyncpg

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span, StoreOptions
from btc_price_tracker.store.postgres import candles, retention, rows
from btc_price_tracker.store.postgres.connections import (
    READERS,
    WRITERS,
    Connection,
    Connections,
    recoverable,
)
from btc_price_tracker.store.postgres.layout import Layout, layout_of
from btc_price_tracker.store.postgres.schema import migrate


class PostgresStore:
    """Ticks in a table that is divided by id. Several stores may append to one database at a time.

    Writing has connections of its own: readers that take all others keep no price waiting.
    """

    def __init__(self, writers: Connections, readers: Connections, layout: Layout) -> None:
        self._writers = writers
        self._readers = readers
        self._layout = layout

    async def append(self, ticks: list[Tick]) -> int:
        """Keep these ticks in one statement, as durably as the server's `synchronous_commit` says."""
        columns = await asyncio.to_thread(rows.columns, ticks)  # quotes take their time to encode
        return await self._writers.run(self._insert, columns)

    async def span(self) -> Span:
        """What is held now."""
        return await self._readers.run(retention.span)

    async def get(self, tick_id: int) -> Tick | None:
        """The tick with this id and its quotes, or None."""
        row = await self._readers.run(rows.one, tick_id)
        return None if row is None else rows.whole_tick(row)

    async def newest(self, limit: int) -> list[Tick]:
        """The last `limit` ticks, oldest first, without their quotes."""
        return await self._readers.run(rows.newest, limit)

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The oldest `limit` ticks with after < id (≤ until), oldest first, without their quotes."""
        return await self._readers.run(rows.page, after, until, limit)

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The same with the quotes of each tick."""
        found = await self._readers.run(rows.page_with_quotes, after, until, limit)
        return await asyncio.to_thread(lambda: list(map(rows.whole_tick, found)))  # takes its time as well

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        """Ids with after < id (≤ until), oldest first: at most `limit`, after skipping `skip`."""
        return await self._readers.run(rows.ids, after, until, skip, limit)

    async def candles(self, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
        """At most `limit` candles of `seconds` that begin in [first, last] seconds."""
        return await self._readers.run(candles.candles, seconds, first, last, limit)

    async def prune(self, before: int) -> int:
        """Drop ticks with id < before: whole partitions or chunks at once, what is left of one in small steps."""
        await self._writers.run(retention.note_vanished)
        total = 0
        while (gone := await self._writers.run(retention.drop_oldest, self._layout, before)) is not None:
            total += gone
        while gone := await self._writers.run(retention.delete_some, before):
            total += gone
        return total

    async def describe(self) -> str:
        """The server's version, and how prices are divided there."""
        version = await self._readers.run(rows.server_version)
        return f"PostgreSQL {version}, {self._layout}"

    async def close(self) -> None:
        """Let go of every connection."""
        await self._readers.close()
        await self._writers.close()

    async def _insert(self, connection: Connection, columns: rows.Columns) -> int:
        await self._layout.make_room(connection, columns.id)
        try:
            async with recoverable(connection):
                return await rows.insert(connection, columns)
        except asyncpg.CheckViolationError:  # for one of the ids there is no partition
            await self._layout.make_room(connection, columns.id, again=True)
            return await rows.insert(connection, columns)


async def open_url(url: str, options: StoreOptions) -> PostgresStore:
    """The store in the database that `url` names; its tables are made if need be. Raises StoreError.

    The URL is libpq's, as far as asyncpg reads it: credentials, several hosts with `target_session_attrs`,
    `sslmode` and the certificates, `options` and other settings of the session; and asyncpg's `statement_cache_size`,
    which is 0 for a pooler that gives each transaction another server process.
    """
    async with AsyncExitStack() as undo:  # also where the opening is cancelled
        writers, readers = [await _opened(url, most, undo) for most in (WRITERS, READERS)]
        await writers.run(migrate)
        store = PostgresStore(writers, readers, await readers.run(layout_of))
        undo.pop_all()
    return store


async def _opened(url: str, most: int, undo: AsyncExitStack) -> Connections:
    connections = await Connections.open(url, most)
    undo.push_async_callback(connections.close)
    return connections
