"""Queries of ticks, and their rows. Each function is work for a ConnectionThread."""

import sqlite3
from typing import Any

from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store import Span
from btc_price_tracker.store.codec import encode_quotes, with_quotes
from btc_price_tracker.store.integers import MAX_INTEGER, cents, clamped, dollars
from btc_price_tracker.store.sqlite import candles
from btc_price_tracker.store.sqlite.schema import STATUSES
from btc_price_tracker.store.sqlite.transaction import transaction

_CODES = {status: code for code, status in enumerate(STATUSES)}

_INSERT_METHOD = "INSERT OR IGNORE INTO methods (name) VALUES (?)"
_INSERT_TICK = """
    INSERT OR IGNORE INTO ticks (id, price, status, sources, spread, age, quote_age, recorded, method)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT id FROM methods WHERE name = ?))"""
_INSERT_QUOTES = "INSERT INTO quotes (id, body) VALUES (?, ?)"

# Rows older than the column `quote_age` have an age in seconds.
_TICKS = """
    SELECT ticks.id, price, status, sources, spread, coalesce(quote_age, age * 1000), name, recorded
    FROM ticks JOIN methods ON methods.id = method"""
_PAGE = f"{_TICKS} WHERE ticks.id > ? AND ticks.id <= ? ORDER BY ticks.id LIMIT ?"
_IDS = "SELECT id FROM ticks WHERE id > ? AND id <= ? ORDER BY id LIMIT ? OFFSET ?"
_NEWEST = f"{_TICKS} ORDER BY ticks.id DESC LIMIT ?"
_WITH_QUOTES = """
    SELECT ticks.id, price, status, sources, spread, coalesce(quote_age, age * 1000), name, recorded, body
    FROM ticks JOIN methods ON methods.id = method LEFT JOIN quotes ON quotes.id = ticks.id """
_PAGE_WITH_QUOTES = f"{_WITH_QUOTES} WHERE ticks.id > ? AND ticks.id <= ? ORDER BY ticks.id LIMIT ?"
_ONE = f"{_WITH_QUOTES} WHERE ticks.id = ?"
_SPAN = """
    SELECT coalesce((SELECT min(id) FROM ticks), 0), coalesce((SELECT max(id) FROM ticks), 0), dropped
    FROM retention"""

_LAST_OF_BATCH = "SELECT max(id) FROM (SELECT id FROM ticks WHERE id < ? ORDER BY id LIMIT ?)"
_DELETE_QUOTES = "DELETE FROM quotes WHERE id <= ?"
_DELETE_TICKS = "DELETE FROM ticks WHERE id <= ?"
_SET_DROPPED = "UPDATE retention SET dropped = max(dropped, ?)"


def insert(connection: sqlite3.Connection, ticks: list[Tick]) -> int:
    """Insert the ticks whose ids are new, in one transaction; returns their number."""
    with transaction(connection):
        connection.executemany(_INSERT_METHOD, [(method,) for method in {tick.method for tick in ticks}])
        new = [tick for tick in ticks if connection.execute(_INSERT_TICK, _row(tick)).rowcount]
        candles.add(connection, [tick for tick in new if tick.status is not Status.STALE])
        bodies = ((tick.id, encode_quotes(tick)) for tick in new if tick.quotes)
        connection.executemany(_INSERT_QUOTES, bodies)
    return len(new)


def span(connection: sqlite3.Connection) -> Span:
    """The range of ids, in one consistent read."""
    return Span(*connection.execute(_SPAN).fetchone())


def page(connection: sqlite3.Connection, after: int, until: int | None, limit: int) -> list[Tick]:
    """At most `limit` ticks with after < id (≤ until), oldest first."""
    return list(map(_tick, connection.execute(_PAGE, _bounds(after, until, limit))))


def page_with_quotes(connection: sqlite3.Connection, after: int, until: int | None, limit: int) -> list[Tick]:
    """The same with the quotes of each tick. Raises StoreError where some can't be decoded."""
    return list(map(_tick_with_quotes, connection.execute(_PAGE_WITH_QUOTES, _bounds(after, until, limit))))


def ids(connection: sqlite3.Connection, after: int, until: int | None, skip: int, limit: int) -> list[int]:
    """At most `limit` ids with after < id (≤ until), after skipping `skip`."""
    last = MAX_INTEGER if until is None else clamped(until)
    return [tick_id for (tick_id,) in connection.execute(_IDS, (clamped(after), last, limit, skip))]


def newest(connection: sqlite3.Connection, limit: int) -> list[Tick]:
    """The last `limit` ticks, oldest first."""
    return list(map(_tick, connection.execute(_NEWEST, (limit,))))[::-1]


def one(connection: sqlite3.Connection, tick_id: int) -> Tick | None:
    """The tick with this id and its quotes. Raises StoreError where the quotes can't be decoded."""
    row = connection.execute(_ONE, (clamped(tick_id),)).fetchone()
    return None if row is None else _tick_with_quotes(row)


def delete_batch(connection: sqlite3.Connection, before: int, batch: int) -> int:
    """Delete the oldest `batch` ticks of those with id < before; returns their number, 0 when none are left."""
    (last,) = connection.execute(_LAST_OF_BATCH, (clamped(before), batch)).fetchone()
    if last is None:
        return 0
    with transaction(connection):
        connection.execute(_DELETE_QUOTES, (last,))
        deleted = connection.execute(_DELETE_TICKS, (last,)).rowcount
        connection.execute(_SET_DROPPED, (last,))
        candles.remove(connection, last)
    return deleted


def _bounds(after: int, until: int | None, limit: int) -> tuple[int, int, int]:
    return clamped(after), MAX_INTEGER if until is None else clamped(until), limit


def _row(tick: Tick) -> tuple[Any, ...]:
    return (
        tick.id,
        cents(tick.price),
        _CODES[tick.status],
        tick.sources,
        cents(tick.spread),
        tick.age,
        tick.quote_age,
        tick.recorded or None,  # NULL takes no space
        tick.method,
    )


def _tick(row: tuple[Any, ...]) -> Tick:
    tick_id, price, status, sources, spread, quote_age, method, recorded = row
    return Tick(
        id=tick_id,
        price=dollars(price),
        status=STATUSES[status],
        sources=sources,
        spread=dollars(spread),
        quote_age=quote_age,
        method=method,
        recorded=bool(recorded),
    )


def _tick_with_quotes(row: tuple[Any, ...]) -> Tick:
    return with_quotes(_tick(row[:-1]), row[-1])
