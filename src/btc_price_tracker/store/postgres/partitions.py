"""Partitions of `ticks`: made a window ahead of need, dropped whole when all of one is old.

Natively, or by TimescaleDB where the database has it: then the table is a hypertable, which makes its chunks
by itself and drops them when told.
"""

import re
from collections.abc import Iterable
from typing import Self

import asyncpg

from btc_price_tracker.store.postgres import rows
from btc_price_tracker.store.postgres.connections import Connection
from btc_price_tracker.store.postgres.schema import lock
from btc_price_tracker.store.postgres.window import WINDOW

_OURS = re.compile(r"ticks_(-?\d+)")  # an operator's own partitions have other names
_IS_NATIVE = "SELECT relkind = 'p' FROM pg_class WHERE oid = 'ticks'::regclass"
_NAMES = "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'ticks'::regclass"

# Made apart and then attached: that waits for no reader of `ticks`, and none for it.
_MAKE = 'CREATE TABLE "ticks_{number}" (LIKE ticks INCLUDING DEFAULTS INCLUDING CONSTRAINTS)'
_ATTACH = 'ALTER TABLE ticks ATTACH PARTITION "ticks_{number}" FOR VALUES FROM ({first}) TO ({end})'
_DROP = 'DROP TABLE "ticks_{number}"'
_DROP_CHUNKS = "SELECT drop_chunks('ticks', older_than => $1::bigint)"

# Dropping waits for every reader of `ticks`, and whoever comes meanwhile waits too: rather not for long.
_BRIEFLY = "SET LOCAL lock_timeout = '1s'"


class Partitions:
    """The partitions of one database, as far as this instance has seen to them."""

    def __init__(self, *, native: bool) -> None:
        self._native = native
        self._known: set[int] = set()

    @classmethod
    async def of(cls, connection: Connection) -> Self:
        """As the table was made, whatever extensions came or went since."""
        return cls(native=bool(await connection.fetchval(_IS_NATIVE)))

    async def insert(self, connection: Connection, columns: rows.Columns) -> int:
        """Keep the ticks whose ids are new, in partitions that are there; returns how many those were."""
        await self._cover(connection, columns.id)
        try:
            return await rows.insert(connection, columns)
        except asyncpg.CheckViolationError:  # another instance has dropped a partition that is needed again
            self._known.clear()
            await self._cover(connection, columns.id)
            return await rows.insert(connection, columns)

    async def drop_oldest(self, connection: Connection, before: int) -> int:
        """Drop the oldest window that holds ticks if all of it is < before; returns how many went."""
        oldest = await rows.oldest(connection)
        if oldest is None or (end := (oldest // WINDOW + 1) * WINDOW) > before:
            return 0
        if self._native and oldest // WINDOW not in await _numbers(connection):
            return 0  # it lies in a partition of the operator's own
        async with connection.transaction():
            await connection.execute(_BRIEFLY)
            gone, last = await rows.count_before(connection, end)
            await self._drop(connection, end)
            await rows.note_dropped(connection, last)
        return gone

    async def _cover(self, connection: Connection, ids: Iterable[int]) -> None:
        if not self._native:
            return
        wanted = {tick_id // WINDOW + ahead for tick_id in ids for ahead in (0, 1)} - self._known
        if not wanted:
            return
        async with connection.transaction():
            await lock(connection)
            for number in sorted(wanted - await _numbers(connection)):
                await _make(connection, number)
        self._known |= wanted

    async def _drop(self, connection: Connection, end: int) -> None:
        if not self._native:
            await connection.execute(_DROP_CHUNKS, end)
            return
        for number in await _numbers(connection):
            if (number + 1) * WINDOW <= end:
                await connection.execute(_DROP.format(number=number))
                self._known.discard(number)


async def _numbers(connection: Connection) -> set[int]:
    """Which windows have a partition of ours."""
    matches = (_OURS.fullmatch(name) for (name,) in await connection.fetch(_NAMES))
    return {int(match[1]) for match in matches if match}


async def _make(connection: Connection, number: int) -> None:
    await connection.execute(_MAKE.format(number=number))
    first = number * WINDOW
    await connection.execute(_ATTACH.format(number=number, first=first, end=first + WINDOW))
