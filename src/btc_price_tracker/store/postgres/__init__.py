"""postgresql:// — a database that may have other users, among them other instances of this service."""

import asyncio

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Limits, Span, StoreError
from btc_price_tracker.store.postgres import candles, rows
from btc_price_tracker.store.postgres.connections import Connections
from btc_price_tracker.store.postgres.partitions import Partitions
from btc_price_tracker.store.postgres.schema import migrate


class PostgresStore:
    """Ticks in a table that is partitioned by id. Several stores may append to one database at a time."""

    def __init__(self, connections: Connections, partitions: Partitions) -> None:
        self._connections = connections
        self._partitions = partitions

    async def append(self, ticks: list[Tick]) -> None:
        """Keep these ticks in one statement, as durably as the server's `synchronous_commit` says."""
        columns = await asyncio.to_thread(rows.columns, ticks)  # quotes take their time to encode
        await self._connections.run(self._partitions.insert, columns)

    async def span(self) -> Span:
        """What is held now."""
        return await self._connections.run(rows.span)

    async def get(self, tick_id: int) -> Tick | None:
        """The tick with this id and its quotes, or None."""
        try:
            return await self._connections.run(rows.one, tick_id)
        except ValueError as error:
            raise StoreError(f"tick {tick_id}: {error}") from error

    async def newest(self, limit: int) -> list[Tick]:
        """The last `limit` ticks, oldest first, without their quotes."""
        return await self._connections.run(rows.newest, limit)

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The oldest `limit` ticks with after < id (≤ until), oldest first, without their quotes."""
        return await self._connections.run(rows.page, after, until, limit)

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        """Ids with after < id (≤ until), oldest first: at most `limit`, after skipping `skip`."""
        return await self._connections.run(rows.ids, after, until, skip, limit)

    async def candles(self, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
        """At most `limit` candles of `seconds` that begin in [first, last] seconds."""
        return await self._connections.run(candles.candles, seconds, first, last, limit)

    async def prune(self, before: int) -> int:
        """Drop ticks with id < before: whole partitions at once, what is left of one in small steps."""
        total = 0
        for drop_some in (self._partitions.drop_oldest, rows.delete_some):
            while gone := await self._connections.run(drop_some, before):
                total += gone
        return total

    async def close(self) -> None:
        """Let go of every connection."""
        await self._connections.close()


async def open_url(url: str, _limits: Limits) -> PostgresStore:
    """The store in the database that `url` names; its tables are made if need be. Raises StoreError.

    The URL is libpq's, as far as asyncpg reads it: credentials, several hosts with `target_session_attrs`,
    `sslmode` and the certificates, `options` and other settings of the session.
    """
    connections = await Connections.open(url)
    try:
        await connections.run(migrate)
        return PostgresStore(connections, await connections.run(Partitions.of))
    except BaseException:  # also where the opening is cancelled
        await connections.close()
        raise
