"""Deletion of old ticks, and the record of how far they were deleted, by this service or by others."""

import asyncpg

from btc_price_tracker.store import Span
from btc_price_tracker.store.integers import clamped
from btc_price_tracker.store.postgres import candles
from btc_price_tracker.store.postgres.connections import Connection
from btc_price_tracker.store.postgres.layout import Layout
from btc_price_tracker.store.postgres.schema import lock

# An operator or a policy of TimescaleDB may delete ticks as well; the quarter-hours still have a record of them.
_SPAN = """
    SELECT coalesce(ticks.first, 0), coalesce(ticks.last, 0), greatest(dropped, CASE
        WHEN ticks.first IS NULL THEN quarters.last
        WHEN quarters.first < ticks.first THEN ticks.first - 1
        END), dropped
    FROM retention,
        (SELECT (SELECT min(id) FROM ticks) AS first, (SELECT max(id) FROM ticks) AS last) AS ticks,
        (SELECT (SELECT first FROM quarter_hours ORDER BY start LIMIT 1) AS first,
            (SELECT last FROM quarter_hours ORDER BY start DESC LIMIT 1) AS last) AS quarters"""

_LAST_OF_BATCH = "SELECT max(id) FROM (SELECT id FROM ticks WHERE id < $1 ORDER BY id LIMIT $2) AS oldest"
_DELETE = (
    "DELETE FROM ticks WHERE id <= $1"  # not in a CTE, where TimescaleDB can't delete from a compressed chunk
)
_SET_DROPPED = "UPDATE retention SET dropped = greatest(dropped, $1)"
_BEFORE = "SELECT coalesce(min(id), $1), coalesce(max(id), $1), count(*) FROM ticks WHERE id < $1"

# A generic plan makes TimescaleDB decompress all of a chunk, up to its limit.
_CUSTOM_PLAN = "SET LOCAL plan_cache_mode = force_custom_plan"
# Dropping a partition waits for all readers of `ticks`, and new readers wait behind it, so it must be short.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '1s'"


async def span(connection: Connection) -> Span:
    """The range of ids, in one consistent read."""
    *found, _ = await connection.fetchrow(_SPAN) or (0, 0, 0, 0)
    return Span(*found)


async def record_foreign_deletions(connection: Connection) -> None:
    """Record how far other programs deleted ticks, and remove those from the candles."""
    *_, dropped, recorded = await connection.fetchrow(_SPAN) or (0, 0)
    if dropped > recorded:
        async with connection.transaction():
            await _record_dropped(connection, dropped)


async def drop_oldest(connection: Connection, layout: Layout, before: int) -> int | None:
    """Drop the oldest partition if all of its ids are < before; returns its number of ticks, None if it is kept.

    It is also kept if this role may not drop it, or if there are older ticks outside our partitions.
    """
    try:
        async with connection.transaction():
            await lock(connection)  # a second instance waits here and then sees what this one dropped
            await connection.execute(_LOCK_TIMEOUT)
            window = await layout.oldest(connection, clamped(before))
            if window is None:
                return None
            first, last, count = await connection.fetchrow(_BEFORE, window.end) or (0, 0, 0)
            if first < window.start or not await layout.drop(connection, window):
                return None
            if count:
                await _record_dropped(connection, last)
    except asyncpg.InsufficientPrivilegeError:
        return None
    return int(count)


async def delete_batch(connection: Connection, before: int, batch: int) -> int:
    """Delete the oldest `batch` ticks of those with id < before; returns their number, 0 when none are left."""
    async with connection.transaction():
        await connection.execute(_CUSTOM_PLAN)
        last = await connection.fetchval(_LAST_OF_BATCH, clamped(before), batch)
        if last is None:
            return 0
        deleted = await connection.execute(_DELETE, last)
        await _record_dropped(connection, last)
    return int(deleted.removeprefix("DELETE "))


async def _record_dropped(connection: Connection, last: int) -> None:
    """After deleting ticks up to `last`: record that, and remove them from the candles."""
    await connection.execute(_SET_DROPPED, last)
    await candles.remove(connection, last)
