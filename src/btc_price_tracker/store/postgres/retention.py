"""Dropping what is old: row by row, and the notes of what is gone, also where others dropped it."""

import asyncpg

from btc_price_tracker.store import Span
from btc_price_tracker.store.integers import clamped
from btc_price_tracker.store.postgres import candles
from btc_price_tracker.store.postgres.connections import Connection
from btc_price_tracker.store.postgres.layout import Layout
from btc_price_tracker.store.postgres.schema import lock

STEP = 500  # ticks that are deleted in one transaction: a few milliseconds

# Others may drop ticks as well: an operator, or a policy of TimescaleDB. The quarters of an hour still know them.
_SPAN = """
    SELECT coalesce(ticks.first, 0), coalesce(ticks.last, 0), greatest(dropped, CASE
        WHEN ticks.first IS NULL THEN quarters.last
        WHEN quarters.first < ticks.first THEN ticks.first - 1
        END), dropped
    FROM retention,
        (SELECT (SELECT min(id) FROM ticks) AS first, (SELECT max(id) FROM ticks) AS last) AS ticks,
        (SELECT (SELECT first FROM quarter_hours ORDER BY start LIMIT 1) AS first,
            (SELECT last FROM quarter_hours ORDER BY start DESC LIMIT 1) AS last) AS quarters"""

_LAST_TO_GO = "SELECT max(id) FROM (SELECT id FROM ticks WHERE id < $1 ORDER BY id LIMIT $2) AS oldest"
_DELETE = (
    "DELETE FROM ticks WHERE id <= $1"  # in no CTE: TimescaleDB can't delete from a compressed chunk there
)
_SET_DROPPED = "UPDATE retention SET dropped = greatest(dropped, $1)"
_BEFORE = "SELECT coalesce(min(id), $1), coalesce(max(id), $1), count(*) FROM ticks WHERE id < $1"

# A plan for any id whatever has TimescaleDB decompress all of a chunk, up to its limit.
_CUSTOM_PLAN = "SET LOCAL plan_cache_mode = force_custom_plan"
# Dropping waits for every reader of `ticks`, and whoever comes meanwhile waits too: rather not for long.
_BRIEFLY = "SET LOCAL lock_timeout = '1s'"


async def span(connection: Connection) -> Span:
    """What is held, in one consistent look."""
    *found, _ = await connection.fetchrow(_SPAN) or (0, 0, 0, 0)
    return Span(*found)


async def note_vanished(connection: Connection) -> None:
    """Note what others dropped, and take it out of the candles."""
    *_, dropped, noted = await connection.fetchrow(_SPAN) or (0, 0)
    if dropped > noted:
        async with connection.transaction():
            await _note_dropped(connection, dropped)


async def drop_oldest(connection: Connection, layout: Layout, before: int) -> int | None:
    """Drop the oldest division of `ticks` if all of it is < before; returns how many ticks went, None if it isn't.

    Nor is it for a role that may write rows alone, or where something lies before it that is no division of ours.
    """
    try:
        async with connection.transaction():
            await lock(connection)  # of two instances, the second finds what the first has left
            await connection.execute(_BRIEFLY)
            window = await layout.oldest(connection, clamped(before))
            if window is None:
                return None
            first, last, count = await connection.fetchrow(_BEFORE, window.end) or (0, 0, 0)
            if first < window.start or not await layout.drop(connection, window):
                return None
            if count:
                await _note_dropped(connection, last)
    except asyncpg.InsufficientPrivilegeError:
        return None
    return int(count)


async def delete_some(connection: Connection, before: int) -> int:
    """Drop the oldest STEP ticks of those with id < before; returns how many went, 0 when none are left."""
    async with connection.transaction():
        await connection.execute(_CUSTOM_PLAN)
        last = await connection.fetchval(_LAST_TO_GO, clamped(before), STEP)
        if last is None:
            return 0
        deleted = await connection.execute(_DELETE, last)
        await _note_dropped(connection, last)
    return int(deleted.removeprefix("DELETE "))


async def _note_dropped(connection: Connection, last: int) -> None:
    """After ticks up to `last` are gone: remember that, and take them out of the candles."""
    await connection.execute(_SET_DROPPED, last)
    await candles.forget(connection, last)
