"""How the table `ticks` is partitioned by id: natively, by TimescaleDB, or not at all."""

from collections.abc import Iterable
from typing import Protocol

from btc_price_tracker.store.postgres import timescale
from btc_price_tracker.store.postgres.connections import Connection
from btc_price_tracker.store.postgres.partitions import Partitions
from btc_price_tracker.store.postgres.window import Window

_IS_NATIVE = "SELECT relkind = 'p' FROM pg_class WHERE oid = 'ticks'::regclass"


class Layout(Protocol):
    """The partitions of the table; a partition may be a chunk of TimescaleDB."""

    def __str__(self) -> str:
        """A description for operators."""

    async def ensure(self, connection: Connection, ids: Iterable[int], *, missing: bool = False) -> None:
        """Create the partitions of these ids unless they exist; `missing` if an insert found that one doesn't."""

    async def oldest(self, connection: Connection, before: int) -> Window | None:
        """The oldest partition of ours if it ends at `before` or earlier, else None."""

    async def drop(self, connection: Connection, window: Window) -> bool:
        """Drop the oldest partition with its ticks; returns whether there was one."""


class Unpartitioned:
    """A plain table, which is what remains of a hypertable when the extension is removed."""

    def __str__(self) -> str:
        return "prices in one table"

    async def ensure(self, connection: Connection, ids: Iterable[int], *, missing: bool = False) -> None:
        """Do nothing: the table takes any id."""

    async def oldest(self, connection: Connection, before: int) -> Window | None:
        """None: there are no partitions, so ticks are deleted in batches."""

    async def drop(self, connection: Connection, window: Window) -> bool:
        """Never called, since there is no oldest partition."""
        raise NotImplementedError


async def layout_of(connection: Connection) -> Layout:
    """The layout with which the table was created. Raises StoreError as `timescale.find`."""
    if await connection.fetchval(_IS_NATIVE):
        return Partitions()
    extension = await timescale.find(connection)
    if extension is not None and await timescale.is_hypertable(connection):
        return extension
    return Unpartitioned()
