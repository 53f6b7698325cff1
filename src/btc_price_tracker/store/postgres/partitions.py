"""Native partitions of `ticks`: created one window ahead, dropped when all of their ticks are old."""

import re
from collections.abc import Iterable

import asyncpg
import structlog

from btc_price_tracker.store.postgres.connections import Connection
from btc_price_tracker.store.postgres.schema import lock
from btc_price_tracker.store.postgres.window import WINDOW, Window

_OURS = re.compile(r"ticks_(-?\d+)")  # an operator's own partitions have other names
_NAMES = "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'ticks'::regclass"

# Created separately and then attached, which neither waits for readers of `ticks` nor blocks them.
_CREATE = 'CREATE TABLE "ticks_{number}" (LIKE ticks INCLUDING DEFAULTS INCLUDING CONSTRAINTS)'
_ATTACH = 'ALTER TABLE ticks ATTACH PARTITION "ticks_{number}" FOR VALUES FROM ({first}) TO ({end})'
_DROP = 'DROP TABLE "ticks_{number}"'

log = structlog.get_logger(__name__)


class Partitions:
    """Native partitions, see layout.Layout; those that this instance has ensured are cached."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    def __str__(self) -> str:
        return f"prices in native partitions of {WINDOW // 86_400_000} days"

    async def ensure(self, connection: Connection, ids: Iterable[int], *, missing: bool = False) -> None:
        """Create the partitions of these ids and of the window after each.

        A role without the right to do so can use those that others created, for as long as there are any.
        """
        if missing:  # another instance dropped one that is needed again
            self._known.clear()
        wanted = {tick_id // WINDOW + ahead for tick_id in ids for ahead in (0, 1)} - self._known
        if not wanted:
            return
        try:
            async with connection.transaction():
                await lock(connection)
                for number in sorted(wanted - await _numbers(connection)):
                    await _create(connection, number)
        except asyncpg.InsufficientPrivilegeError as error:
            if missing:
                raise
            log.warning("partitions not created", numbers=sorted(wanted), reason=str(error))
        self._known |= wanted

    async def oldest(self, connection: Connection, before: int) -> Window | None:
        """The oldest partition of ours if it ends at `before` or earlier, else None."""
        number = min(await _numbers(connection), default=None)
        if number is None or (number + 1) * WINDOW > before:
            return None
        return Window(number * WINDOW, (number + 1) * WINDOW)

    async def drop(self, connection: Connection, window: Window) -> bool:
        """Drop the partition of a window."""
        number = window.start // WINDOW
        await connection.execute(_DROP.format(number=number))
        self._known.discard(number)
        return True


async def _numbers(connection: Connection) -> set[int]:
    """The numbers of the windows that have a partition of ours."""
    matches = (_OURS.fullmatch(name) for (name,) in await connection.fetch(_NAMES))
    return {int(match[1]) for match in matches if match}


async def _create(connection: Connection, number: int) -> None:
    await connection.execute(_CREATE.format(number=number))
    first = number * WINDOW
    await connection.execute(_ATTACH.format(number=number, first=first, end=first + WINDOW))
