"""The functions and views of TimescaleDB that are used where the database has it.

Its functions are called by the schema in which it was installed, which may not be in the search path.
"""

from collections.abc import Iterable
from typing import NamedTuple

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store.postgres.connections import Connection
from btc_price_tracker.store.postgres.window import WINDOW, Window

_FIND = """
    SELECT quote_ident(nspname) AS schema, extversion AS version
    FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'timescaledb'"""
# A setting that the library defines and no configuration sets: if it is unknown, the library isn't loaded.
_IS_LOADED = "SELECT current_setting('timescaledb.restoring', true) IS NOT NULL"

_CREATE = "SELECT {schema}.create_hypertable('ticks', 'id', chunk_time_interval => $1::bigint)"
# For policies that an operator may add, whose intervals are relative to now: an id is a time in ms.
_CREATE_NOW = """
    CREATE FUNCTION ticks_now() RETURNS bigint LANGUAGE sql STABLE
    AS 'SELECT (extract(epoch FROM now()) * 1000)::bigint'"""
_SET_NOW = "SELECT {schema}.set_integer_now_func('ticks', 'ticks_now')"

_IS_HYPERTABLE = """
    SELECT EXISTS (SELECT FROM timescaledb_information.hypertables JOIN pg_namespace ON nspname = hypertable_schema
        JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = hypertable_name
        WHERE pg_class.oid = 'ticks'::regclass)"""
# By the range of each chunk: an operator may have changed the interval or merged chunks.
_OLDEST = """
    SELECT range_start_integer, range_end_integer FROM timescaledb_information.chunks
    JOIN pg_namespace ON nspname = hypertable_schema
    JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = hypertable_name
    WHERE pg_class.oid = 'ticks'::regclass AND range_end_integer <= $1 ORDER BY range_end_integer LIMIT 1"""
_DROP = "SELECT {schema}.drop_chunks('ticks', older_than => $1::bigint)"


class Timescale(NamedTuple):
    """The extension of a database, and `ticks` as its hypertable; see layout.Layout."""

    schema: str  # quoted as an identifier
    version: str

    def __str__(self) -> str:
        return f"prices in a hypertable of TimescaleDB {self.version}"

    async def create_hypertable(self, connection: Connection) -> None:
        """Convert `ticks`, which is empty, to a hypertable."""
        await connection.execute(_CREATE.format(schema=self.schema), WINDOW)
        await connection.execute(_CREATE_NOW)
        await connection.execute(_SET_NOW.format(schema=self.schema))

    async def ensure(self, connection: Connection, ids: Iterable[int], *, missing: bool = False) -> None:
        """Do nothing: the extension creates chunks itself."""

    async def oldest(self, connection: Connection, before: int) -> Window | None:
        """The range of the oldest chunk if it ends at `before` or earlier, else None."""
        row = await connection.fetchrow(_OLDEST, before)
        return None if row is None else Window(*row)

    async def drop(self, connection: Connection, window: Window) -> bool:
        """Drop the chunk with this range; returns whether there was one."""
        return bool(await connection.fetch(_DROP.format(schema=self.schema), window.end))


async def find(connection: Connection) -> Timescale | None:
    """The extension if the database has it. Raises StoreError if it isn't loaded, since it wouldn't see new rows."""
    row = await connection.fetchrow(_FIND)
    if row is None:
        return None
    if not await connection.fetchval(_IS_LOADED):
        raise StoreError(
            "postgresql: the database has the extension timescaledb, but the server hasn't loaded it, so prices stored "
            "now would be invisible later; add timescaledb to its shared_preload_libraries and restart the server"
        )
    return Timescale(*row)


async def is_hypertable(connection: Connection) -> bool:
    """Whether `ticks` is a hypertable; the database must have the extension."""
    return bool(await connection.fetchval(_IS_HYPERTABLE))
