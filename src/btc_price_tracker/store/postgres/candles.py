"""The quarter-hours of a database, and the candles that are put together from them."""

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.store.candle_rows import candle, query_parameters
from btc_price_tracker.store.postgres.connections import Connection
from btc_price_tracker.store.rollup import (
    MERGE,
    QUARTER,
    QUARTER_MS,
    QUARTERS,
    candle_query,
)

# 900000 ms are a quarter of an hour. A stale tick is no new price, so part of no candle.
_SUM_UP = """
    INSERT INTO quarter_hours (start, first, last, open, high, low, close, count)
    SELECT id / 900000 * 900000 AS start, min(id), max(id), (array_agg(price ORDER BY id))[1], max(price),
        min(price), (array_agg(price ORDER BY id DESC))[1], count(*)
    FROM {ticks} WHERE status <> 'stale' GROUP BY start ORDER BY start"""

# The end of the statement that keeps ticks: those that were new join their quarters.
COUNT_IN = _SUM_UP.format(ticks="kept") + MERGE

_FORGET = "DELETE FROM quarter_hours WHERE start <= $1"
_SUM_UP_ONE = _SUM_UP.format(ticks="(SELECT * FROM ticks WHERE id >= $1 AND id < $2) AS left_over")

_TICKS = """
    SELECT id AS at, price AS open, price AS high, price AS low, price AS close, 1 AS count
    FROM ticks WHERE status <> 'stale'"""
_PLACES = ("$1::bigint", "$2::bigint", "$3::bigint", "$4::bigint")
_OF_TICKS = candle_query(_TICKS, _PLACES)
_OF_QUARTERS = candle_query(QUARTERS, _PLACES)


async def forget(connection: Connection, last: int) -> None:
    """After ticks up to `last` are gone: drop their quarters, and sum up what is left of the last one."""
    start = last // QUARTER_MS * QUARTER_MS
    await connection.execute(_FORGET, last)
    await connection.execute(_SUM_UP_ONE, start, start + QUARTER_MS)


async def candles(connection: Connection, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
    """At most `limit` candles of `seconds` that begin in [first, last] seconds, oldest first."""
    query = _OF_TICKS if seconds % QUARTER else _OF_QUARTERS
    return [
        candle(row) for row in await connection.fetch(query, *query_parameters(seconds, first, last, limit))
    ]
