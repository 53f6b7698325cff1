"""How `ticks` is divided by time: natively, by TimescaleDB, or not at all."""

from collections.abc import Iterable
from typing import Protocol

from btc_price_tracker.store.postgres import timescale
from btc_price_tracker.store.postgres.connections import Connection
from btc_price_tracker.store.postgres.partitions import Partitions
from btc_price_tracker.store.postgres.window import Window

_IS_NATIVE = "SELECT relkind = 'p' FROM pg_class WHERE oid = 'ticks'::regclass"


class Layout(Protocol):
    """The divisions of one table, as far as this instance has seen to them."""

    def __str__(self) -> str:
        """In words, for an operator."""

    async def make_room(self, connection: Connection, ids: Iterable[int], *, again: bool = False) -> None:
        """See that there are divisions for these ids; `again` where an insert found that there are not."""

    async def oldest(self, connection: Connection, before: int) -> Window | None:
        """The oldest division of ours, if it ends at `before` or earlier."""

    async def drop(self, connection: Connection, window: Window) -> bool:
        """Drop the oldest division, with all that it holds; False where that drops nothing."""


class Undivided:
    """One table: all that is left where the extension has been removed."""

    def __str__(self) -> str:
        return "prices in one table"

    async def make_room(self, connection: Connection, ids: Iterable[int], *, again: bool = False) -> None:
        """There is."""

    async def oldest(self, connection: Connection, before: int) -> Window | None:
        """None: rows are deleted one by one."""

    async def drop(self, connection: Connection, window: Window) -> bool:
        """Never asked for."""
        raise NotImplementedError


async def layout_of(connection: Connection) -> Layout:
    """As the table was made, whatever extensions came or went since. Raises StoreError as `timescale.find`."""
    if await connection.fetchval(_IS_NATIVE):
        return Partitions()
    extension = await timescale.find(connection)
    if extension is not None and await timescale.is_hypertable(connection):
        return extension
    return Undivided()
