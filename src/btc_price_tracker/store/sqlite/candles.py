"""The quarter-hour rows of a file, and the candles that are built from them."""

import sqlite3
from itertools import groupby

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store.integers import cents
from btc_price_tracker.store.rollup import MERGE, QUARTER, QUARTER_MS, QUARTERS, candle, query_parameters
from btc_price_tracker.store.sqlite.schema import SUM_UP

_INSERT_QUARTER = """
    INSERT INTO quarter_hours (start, first, last, open, high, low, close, count)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_MERGE_QUARTER = _INSERT_QUARTER + MERGE

_DELETE_QUARTERS = "DELETE FROM quarter_hours WHERE start <= ?"
_SUM_UP_QUARTER = SUM_UP.format(where="id >= ? AND id < ?")

# Status 3 is stale: no new price, so part of no candle.
_TICKS = """
    SELECT id AS at, price AS open, price AS high, price AS low, price AS close, 1 AS count
    FROM ticks WHERE status <> 3"""
# Steps from one non-empty candle to the next, so that gaps cost nothing and no more is read than is returned.
_CANDLES = """
    WITH RECURSIVE candles (start, number) AS (
        SELECT min(at) / ?3 * ?3, 1 FROM ({pieces}) AS piece WHERE at >= ?1 AND at < ?2
        UNION ALL
        SELECT (
            SELECT min(at) / ?3 * ?3 FROM ({pieces}) AS piece
            WHERE at >= candles.start + ?3 AND at < ?2
        ), number + 1
        FROM candles WHERE start IS NOT NULL AND number < ?4
    ), sums AS (
        SELECT start, min(at) AS first, max(at) AS last, max(high) AS high, min(low) AS low, sum(count) AS count
        FROM candles JOIN ({pieces}) AS piece ON at >= start AND at < start + ?3
        GROUP BY start
    )
    SELECT start, opening.open, sums.high, sums.low, closing.close, sums.count
    FROM sums
    JOIN ({pieces}) AS opening ON opening.at = sums.first
    JOIN ({pieces}) AS closing ON closing.at = sums.last
    ORDER BY start LIMIT ?4"""
_OF_TICKS = _CANDLES.format(pieces=_TICKS)
_OF_QUARTERS = _CANDLES.format(pieces=QUARTERS)


def add(connection: sqlite3.Connection, ticks: list[Tick]) -> None:
    """Merge new, not stale ticks into their quarter-hours: one statement each, however many ticks there are."""
    ordered = sorted((tick.id, cents(tick.price)) for tick in ticks)
    for start, group in groupby(ordered, lambda tick: tick[0] // QUARTER_MS * QUARTER_MS):
        ids, prices = zip(*group, strict=True)
        row = (start, ids[0], ids[-1], prices[0], max(prices), min(prices), prices[-1], len(ids))
        connection.execute(_MERGE_QUARTER, row)


def remove(connection: sqlite3.Connection, last: int) -> None:
    """After deleting ticks up to `last`: delete their quarter-hours, and sum up the rest of the last one again."""
    start = last // QUARTER_MS * QUARTER_MS
    connection.execute(_DELETE_QUARTERS, (last,))
    connection.execute(_SUM_UP_QUARTER, (start, start + QUARTER_MS))


def candles(connection: sqlite3.Connection, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
    """At most `limit` candles of `seconds` that begin in [first, last] seconds, oldest first."""
    query = _OF_TICKS if seconds % QUARTER else _OF_QUARTERS
    return [candle(row) for row in connection.execute(query, query_parameters(seconds, first, last, limit))]
