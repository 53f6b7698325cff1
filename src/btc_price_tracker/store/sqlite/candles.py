"""The quarter-hours of a file, and the candles that are put together from them."""

import sqlite3
from itertools import groupby

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store.amounts import cents
from btc_price_tracker.store.candle_rows import candle, query_parameters
from btc_price_tracker.store.rollup import (
    MERGE,
    QUARTER,
    QUARTER_MS,
    QUARTERS,
    candle_query,
)
from btc_price_tracker.store.sqlite.schema import SUM_UP

_AS_QUARTERS = """
    INSERT INTO quarter_hours (start, first, last, open, high, low, close, count)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_COUNT_IN = _AS_QUARTERS + MERGE

_FORGET = "DELETE FROM quarter_hours WHERE start <= ?"
_SUM_UP_ONE = SUM_UP.format(where="id >= ? AND id < ?")

# Status 3 is stale: no new price, so part of no candle.
_TICKS = """
    SELECT id AS at, price AS open, price AS high, price AS low, price AS close, 1 AS count
    FROM ticks WHERE status <> 3"""
_PLACES = ("?1", "?2", "?3", "?4")
_OF_TICKS = candle_query(_TICKS, _PLACES)
_OF_QUARTERS = candle_query(QUARTERS, _PLACES)


def count_in(connection: sqlite3.Connection, ticks: list[Tick]) -> None:
    """Make fresh ticks that were just kept part of their quarters: one statement a quarter, however many ticks."""
    ordered = sorted((tick.id, cents(tick.price)) for tick in ticks)
    for start, group in groupby(ordered, lambda tick: tick[0] // QUARTER_MS * QUARTER_MS):
        ids, prices = zip(*group, strict=True)
        row = (start, ids[0], ids[-1], prices[0], max(prices), min(prices), prices[-1], len(ids))
        connection.execute(_COUNT_IN, row)


def forget(connection: sqlite3.Connection, last: int) -> None:
    """After ticks up to `last` are gone: drop their quarters, and sum up what is left of the last one."""
    start = last // QUARTER_MS * QUARTER_MS
    connection.execute(_FORGET, (last,))
    connection.execute(_SUM_UP_ONE, (start, start + QUARTER_MS))


def candles(connection: sqlite3.Connection, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
    """At most `limit` candles of `seconds` that begin in [first, last] seconds, oldest first."""
    query = _OF_TICKS if seconds % QUARTER else _OF_QUARTERS
    return [candle(row) for row in connection.execute(query, query_parameters(seconds, first, last, limit))]
