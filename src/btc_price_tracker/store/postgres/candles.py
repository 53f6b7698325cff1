"""The quarter-hour rows of a database, and the candles that are built from them."""

from typing import NamedTuple, Self

import asyncpg

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.store.candle_steps import candles_in_steps
from btc_price_tracker.store.postgres.connections import Connection
from btc_price_tracker.store.postgres.window import WINDOW
from btc_price_tracker.store.rollup import MERGE, QUARTER, QUARTER_MS, QUARTERS

# 900000 ms are a quarter-hour. A stale tick is no new price, so part of no candle.
_SUM_UP = """
    INSERT INTO quarter_hours (start, first, last, open, high, low, close, count)
    SELECT id / 900000 * 900000 AS start, min(id), max(id), (array_agg(price ORDER BY id))[1], max(price),
        min(price), (array_agg(price ORDER BY id DESC))[1], count(*)
    FROM {ticks} WHERE status <> 'stale' GROUP BY start ORDER BY start"""

# Part of the statement that inserts ticks: merges the new ones into their quarter-hours.
ADD_NEW = _SUM_UP.format(ticks="inserted") + MERGE

_DELETE_QUARTERS = "DELETE FROM quarter_hours WHERE start <= $1"
_SUM_UP_ONE = _SUM_UP.format(ticks="(SELECT * FROM ticks WHERE id >= $1 AND id < $2) AS remaining")

_TICKS = """
    SELECT id AS at, price AS open, price AS high, price AS low, price AS close, 1 AS count
    FROM ticks WHERE status <> 'stale'"""
# Not min(at), for which all of a compressed chunk is read.
_FIRST = "SELECT at FROM ({pieces}) AS piece WHERE at >= $1 AND at < $2 ORDER BY at LIMIT 1"
# Ordered aggregates such as array_agg(… ORDER BY …) sort each candle separately and take twice as long.
_SUMS = """
    SELECT DISTINCT ON (start) at / $3::bigint * $3::bigint AS start, first_value(open) OVER candle,
        max(high) OVER candle, min(low) OVER candle, last_value(close) OVER candle, (sum(count) OVER candle)::bigint
    FROM ({pieces}) AS piece WHERE at >= $1 AND at < $2
    WINDOW candle AS (PARTITION BY at / $3::bigint * $3::bigint ORDER BY at
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ORDER BY start LIMIT $4"""


class _Queries(NamedTuple):
    """The queries of one kind of pieces, and the maximum span of one step in ms."""

    first: str
    sums: str
    longest: int

    @classmethod
    def of(cls, pieces: str, longest: int) -> Self:
        return cls(_FIRST.format(pieces=pieces), _SUMS.format(pieces=pieces), longest)


_OF_TICKS = _Queries.of(_TICKS, 2 * WINDOW)  # 480,000 at one every 10 s
_OF_QUARTERS = _Queries.of(QUARTERS, 400_000 * QUARTER_MS)


async def remove(connection: Connection, last: int) -> None:
    """After deleting ticks up to `last`: delete their quarter-hours, and sum up the rest of the last one again."""
    start = last // QUARTER_MS * QUARTER_MS
    await connection.execute(_DELETE_QUARTERS, last)
    await connection.execute(_SUM_UP_ONE, start, start + QUARTER_MS)


class _Pieces(NamedTuple):
    """Pieces that are read through one connection."""

    connection: Connection
    queries: _Queries

    @property
    def longest(self) -> int:
        return self.queries.longest

    async def first(self, start: int, end: int) -> int | None:
        at: int | None = await self.connection.fetchval(self.queries.first, start, end)
        return at

    async def sums(self, start: int, end: int, width: int, limit: int) -> list[asyncpg.Record]:
        return await self.connection.fetch(self.queries.sums, start, end, width, limit)


async def candles(connection: Connection, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
    """At most `limit` candles of `seconds` that begin in [first, last] seconds, oldest first."""
    queries = _OF_TICKS if seconds % QUARTER else _OF_QUARTERS
    return await candles_in_steps(_Pieces(connection, queries), seconds, first, last, limit)
