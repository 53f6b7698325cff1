"""postgresql:// — a database that other clients may use, among them other instances of this service."""

import asyncio
from contextlib import AsyncExitStack

import asyncpg

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span, StoreOptions
from btc_price_tracker.store.postgres import candles, retention, rows
from btc_price_tracker.store.postgres.connections import Connection, Connections, savepoint
from btc_price_tracker.store.postgres.layout import Layout, layout_of
from btc_price_tracker.store.postgres.schema import migrate

MAX_READERS = 8  # connections; reads that find none free wait for one
MAX_WRITERS = 2  # connections; one for appends and one for pruning


class PostgresStore:
    """Ticks in a table that is partitioned by id. Several stores may append to one database concurrently.

    Writes have dedicated connections, so that reads that use all others don't delay an append.
    """

    def __init__(self, writers: Connections, readers: Connections, layout: Layout, prune_batch: int) -> None:
        self._writers = writers
        self._readers = readers
        self._layout = layout
        self._prune_batch = prune_batch

    async def append(self, ticks: list[Tick]) -> int:
        """Store ticks in one statement, with the durability of the server's `synchronous_commit`."""
        columns = await asyncio.to_thread(rows.columns, ticks)  # encoding quotes takes CPU time
        return await self._writers.run(self._insert, columns)

    async def span(self) -> Span:
        """The range of ids that is stored now."""
        return await self._readers.run(retention.span)

    async def get(self, tick_id: int) -> Tick | None:
        """The tick with this id and its quotes, or None."""
        row = await self._readers.run(rows.one, tick_id)
        return None if row is None else rows.tick_with_quotes(row)

    async def newest(self, limit: int) -> list[Tick]:
        """The last `limit` ticks, oldest first, without their quotes."""
        return await self._readers.run(rows.newest, limit)

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The oldest `limit` ticks with after < id (≤ until), oldest first, without their quotes."""
        return await self._readers.run(rows.page, after, until, limit)

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The same with the quotes of each tick."""
        found = await self._readers.run(rows.page_with_quotes, after, until, limit)
        return await asyncio.to_thread(lambda: list(map(rows.tick_with_quotes, found)))  # so does decoding

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        """Ids with after < id (≤ until), oldest first: at most `limit`, after skipping `skip`."""
        return await self._readers.run(rows.ids, after, until, skip, limit)

    async def candles(self, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
        """At most `limit` candles of `seconds` that begin in [first, last] seconds."""
        return await self._readers.run(candles.candles, seconds, first, last, limit)

    async def prune(self, before: int) -> int:
        """Delete ticks with id < before: complete partitions or chunks at once, the rest in small batches."""
        await self._writers.run(retention.record_foreign_deletions)
        total = 0
        while (dropped := await self._writers.run(retention.drop_oldest, self._layout, before)) is not None:
            total += dropped
        while deleted := await self._writers.run(retention.delete_batch, before, self._prune_batch):
            total += deleted
        return total

    async def describe(self) -> str:
        """The version of the server and how its table is partitioned."""
        version = await self._readers.run(rows.server_version)
        return f"PostgreSQL {version}, {self._layout}"

    async def close(self) -> None:
        """Close all connections."""
        await self._readers.close()
        await self._writers.close()

    async def _insert(self, connection: Connection, columns: rows.Columns) -> int:
        await self._layout.ensure(connection, columns.id)
        try:
            async with savepoint(connection):
                return await rows.insert(connection, columns)
        except asyncpg.CheckViolationError:  # one of the ids has no partition
            await self._layout.ensure(connection, columns.id, missing=True)
            return await rows.insert(connection, columns)


async def open_url(url: str, options: StoreOptions) -> PostgresStore:
    """Open the store in the database that a URL names; its tables are created if necessary. Raises StoreError.

    The URL is libpq's, as far as asyncpg supports it: credentials, several hosts with `target_session_attrs`,
    `sslmode` and certificates, `options` and other session settings; and asyncpg's `statement_cache_size`, which must
    be 0 behind a pooler in transaction mode.
    """
    async with AsyncExitStack() as undo:  # also if the opening is cancelled
        writers = await _connected(url, MAX_WRITERS, options.operation_timeout, undo)
        readers = await _connected(url, MAX_READERS, options.operation_timeout, undo)
        await writers.run(migrate)
        store = PostgresStore(writers, readers, await readers.run(layout_of), options.prune_batch)
        undo.pop_all()
    return store


async def _connected(url: str, max_size: int, seconds: float, undo: AsyncExitStack) -> Connections:
    connections = await Connections.open(url, max_size, seconds)
    undo.push_async_callback(connections.close)
    return connections
