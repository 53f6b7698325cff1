"""The queries: ticks to rows and back. Each function is one piece of work on one connection."""

from typing import Any, NamedTuple

from msgspec.structs import replace

from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store import Span
from btc_price_tracker.store.amounts import cents, dollars
from btc_price_tracker.store.bounds import MAX_INTEGER, clamped
from btc_price_tracker.store.codec import decode_quotes, encode_quotes
from btc_price_tracker.store.postgres import candles
from btc_price_tracker.store.postgres.connections import Connection

STEP = 500  # ticks that are deleted in one transaction: a few milliseconds

# One statement, so one round trip and all or none, for one tick as for thousands.
_INSERT_TICKS = """
    WITH kept AS (
        INSERT INTO ticks (id, price, status, sources, spread, age, method, quotes)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::integer[], $5::bigint[],
            $6::integer[], $7::text[], $8::bytea[])
        ON CONFLICT (id) DO NOTHING
        RETURNING id, price, status
    )"""
_INSERT = _INSERT_TICKS + candles.COUNT_IN

_TICKS = "SELECT id, price, status, sources, spread, age, method FROM ticks "
_PAGE = f"{_TICKS} WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3"
_IDS = "SELECT id FROM ticks WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3 OFFSET $4"
_NEWEST = f"{_TICKS} ORDER BY id DESC LIMIT $1"
_ONE = "SELECT id, price, status, sources, spread, age, method, quotes FROM ticks WHERE id = $1"
_SPAN = """
    SELECT coalesce((SELECT min(id) FROM ticks), 0), coalesce((SELECT max(id) FROM ticks), 0), dropped
    FROM retention"""
_OLDEST = "SELECT min(id) FROM ticks"

_COUNT_BEFORE = "SELECT count(*), max(id) FROM ticks WHERE id < $1"
_LAST_TO_GO = "SELECT max(id) FROM (SELECT id FROM ticks WHERE id < $1 ORDER BY id LIMIT $2) AS oldest"
_DELETE = "WITH gone AS (DELETE FROM ticks WHERE id <= $1 RETURNING id) SELECT count(*) FROM gone"
_SET_DROPPED = "UPDATE retention SET dropped = greatest(dropped, $1)"


class Columns(NamedTuple):
    """Ticks by column, as unnest() takes them."""

    id: list[int]
    price: list[int]
    status: list[str]
    sources: list[int]
    spread: list[int]
    age: list[int]
    method: list[str]
    quotes: list[bytes | None]


def columns(ticks: list[Tick]) -> Columns:
    """Raises ValueError on an amount that is not exact to the cent."""
    return Columns(
        id=[tick.id for tick in ticks],
        price=[cents(tick.price) for tick in ticks],
        status=[tick.status.value for tick in ticks],
        sources=[tick.sources for tick in ticks],
        spread=[cents(tick.spread) for tick in ticks],
        age=[tick.age for tick in ticks],
        method=[tick.method for tick in ticks],
        quotes=[encode_quotes(tick) if tick.quotes else None for tick in ticks],
    )


async def insert(connection: Connection, columns: Columns) -> None:
    """Keep the ticks whose ids are new."""
    await connection.execute(_INSERT, *columns)


async def span(connection: Connection) -> Span:
    """What is held, in one consistent look."""
    first, last, dropped = await connection.fetchrow(_SPAN) or (0, 0, 0)
    return Span(first, last, dropped)


async def page(connection: Connection, after: int, until: int | None, limit: int) -> list[Tick]:
    """At most `limit` ticks with after < id (≤ until), oldest first."""
    last = MAX_INTEGER if until is None else clamped(until)
    return [_tick(*row) for row in await connection.fetch(_PAGE, clamped(after), last, limit)]


async def ids(connection: Connection, after: int, until: int | None, skip: int, limit: int) -> list[int]:
    """At most `limit` ids with after < id (≤ until), after skipping `skip`."""
    last = MAX_INTEGER if until is None else clamped(until)
    return [tick_id for (tick_id,) in await connection.fetch(_IDS, clamped(after), last, limit, skip)]


async def newest(connection: Connection, limit: int) -> list[Tick]:
    """The last `limit` ticks, oldest first."""
    return [_tick(*row) for row in await connection.fetch(_NEWEST, limit)][::-1]


async def one(connection: Connection, tick_id: int) -> Tick | None:
    """The tick with this id and its quotes. Raises ValueError where the quotes can't be read."""
    row = await connection.fetchrow(_ONE, clamped(tick_id))
    if row is None:
        return None
    *columns, quotes = row
    tick = _tick(*columns)
    return tick if quotes is None else replace(tick, quotes=decode_quotes(quotes, tick.id, tick.price))


async def oldest(connection: Connection) -> int | None:
    """The lowest id that is held."""
    tick_id: int | None = await connection.fetchval(_OLDEST)
    return tick_id


async def delete_some(connection: Connection, before: int) -> int:
    """Drop the oldest STEP ticks of those with id < before; returns how many went, 0 when none are left."""
    async with connection.transaction():
        last = await connection.fetchval(_LAST_TO_GO, clamped(before), STEP)
        if last is None:
            return 0
        gone: int = await connection.fetchval(_DELETE, last)
        await note_dropped(connection, last)
    return gone


async def count_before(connection: Connection, end: int) -> tuple[int, int]:
    """How many ticks have id < end, and the last of these ids. There must be one."""
    count, last = await connection.fetchrow(_COUNT_BEFORE, end) or (0, end)
    return count, last


async def note_dropped(connection: Connection, last: int) -> None:
    """After ticks up to `last` are gone: remember that, and take them out of the candles."""
    await connection.execute(_SET_DROPPED, last)
    await candles.forget(connection, last)


def _tick(*columns: Any) -> Tick:
    tick_id, price, status, sources, spread, age, method = columns
    return Tick(tick_id, dollars(price), Status(status), sources, dollars(spread), age, method)
