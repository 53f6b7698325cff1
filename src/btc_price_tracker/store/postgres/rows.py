"""Queries of ticks, and their rows. Each function is work for a connection."""

from typing import Any, NamedTuple

import asyncpg

from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store.codec import encode_quotes, with_quotes
from btc_price_tracker.store.integers import MAX_INTEGER, cents, clamped, dollars
from btc_price_tracker.store.postgres import candles
from btc_price_tracker.store.postgres.connections import Connection

# One statement, so one round trip and all or none, for any number of ticks.
_INSERT_TICKS = """
    WITH inserted AS (
        INSERT INTO ticks (id, price, status, sources, spread, age, method, quote_age, recorded, quotes)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::integer[], $5::bigint[],
            $6::integer[], $7::text[], $8::bigint[], $9::boolean[], $10::bytea[])
        ON CONFLICT (id) DO NOTHING
        RETURNING id, price, status
    ), summed_up AS ("""
_COUNT_NEW = ") SELECT count(*) FROM inserted"
_INSERT = _INSERT_TICKS + candles.ADD_NEW + _COUNT_NEW

# Rows older than the column `quote_age` have an age in seconds.
_TICKS = """
    SELECT id, price, status, sources, spread, coalesce(quote_age, age * 1000::bigint), method, recorded
    FROM ticks"""
_PAGE = f"{_TICKS} WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3"
_IDS = "SELECT id FROM ticks WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3 OFFSET $4"
_NEWEST = f"{_TICKS} ORDER BY id DESC LIMIT $1"
_WITH_QUOTES = """
    SELECT id, price, status, sources, spread, coalesce(quote_age, age * 1000::bigint), method, recorded, quotes
    FROM ticks"""
_PAGE_WITH_QUOTES = f"{_WITH_QUOTES} WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3"
_ONE = f"{_WITH_QUOTES} WHERE id = $1"


class Columns(NamedTuple):
    """Ticks by column, as unnest() takes them."""

    id: list[int]
    price: list[int]
    status: list[str]
    sources: list[int]
    spread: list[int]
    age: list[int]
    method: list[str]
    quote_age: list[int]
    recorded: list[bool]
    quotes: list[bytes | None]


def columns(ticks: list[Tick]) -> Columns:
    """Convert ticks to columns. Raises ValueError on an amount that is not exact to the cent."""
    return Columns(
        id=[tick.id for tick in ticks],
        price=[cents(tick.price) for tick in ticks],
        status=[tick.status.value for tick in ticks],
        sources=[tick.sources for tick in ticks],
        spread=[cents(tick.spread) for tick in ticks],
        age=[tick.age for tick in ticks],
        method=[tick.method for tick in ticks],
        quote_age=[tick.quote_age for tick in ticks],
        recorded=[tick.recorded for tick in ticks],
        quotes=[encode_quotes(tick) if tick.quotes else None for tick in ticks],
    )


async def insert(connection: Connection, columns: Columns) -> int:
    """Insert the ticks whose ids are new; returns their number."""
    new: int = await connection.fetchval(_INSERT, *columns)
    return new


async def page(connection: Connection, after: int, until: int | None, limit: int) -> list[Tick]:
    """At most `limit` ticks with after < id (≤ until), oldest first."""
    return [_tick(*row) for row in await connection.fetch(_PAGE, *_bounds(after, until, limit))]


async def page_with_quotes(
    connection: Connection, after: int, until: int | None, limit: int
) -> list[asyncpg.Record]:
    """The rows of the same ticks with their quotes, for tick_with_quotes()."""
    return await connection.fetch(_PAGE_WITH_QUOTES, *_bounds(after, until, limit))


async def ids(connection: Connection, after: int, until: int | None, skip: int, limit: int) -> list[int]:
    """At most `limit` ids with after < id (≤ until), after skipping `skip`."""
    last = MAX_INTEGER if until is None else clamped(until)
    return [tick_id for (tick_id,) in await connection.fetch(_IDS, clamped(after), last, limit, skip)]


async def newest(connection: Connection, limit: int) -> list[Tick]:
    """The last `limit` ticks, oldest first."""
    return [_tick(*row) for row in await connection.fetch(_NEWEST, limit)][::-1]


async def one(connection: Connection, tick_id: int) -> asyncpg.Record | None:
    """The row of the tick with this id and its quotes, for tick_with_quotes()."""
    return await connection.fetchrow(_ONE, clamped(tick_id))


def tick_with_quotes(row: asyncpg.Record) -> Tick:
    """The tick with its quotes. Raises StoreError where those can't be decoded."""
    *columns, quotes = row
    return with_quotes(_tick(*columns), quotes)


def _bounds(after: int, until: int | None, limit: int) -> tuple[int, int, int]:
    return clamped(after), MAX_INTEGER if until is None else clamped(until), limit


def _tick(*columns: Any) -> Tick:
    tick_id, price, status, sources, spread, quote_age, method, recorded = columns
    return Tick(
        id=tick_id,
        price=dollars(price),
        status=Status(status),
        sources=sources,
        spread=dollars(spread),
        quote_age=quote_age,
        method=method,
        recorded=bool(recorded),
    )


async def server_version(connection: Connection) -> str:
    """As the server reports it, such as 18.4, in some cases with the name of a distribution."""
    version: str = await connection.fetchval("SHOW server_version")
    return version
