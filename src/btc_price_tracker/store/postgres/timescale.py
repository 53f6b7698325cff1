"""TimescaleDB, where the database has it: what we ask of it, by the schema in which it was installed.

That need not be in the search path, unlike its views, which lie in a schema of their own.
"""

from collections.abc import Iterable
from typing import NamedTuple

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store.postgres.connections import Connection
from btc_price_tracker.store.postgres.window import WINDOW, Window

_FIND = """
    SELECT quote_ident(nspname) AS schema, extversion AS version
    FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'timescaledb'"""
# A setting that the library defines, and no operator's configuration: where it is unknown, the library isn't loaded.
_IS_LOADED = "SELECT current_setting('timescaledb.restoring', true) IS NOT NULL"

_MAKE = "SELECT {schema}.create_hypertable('ticks', 'id', chunk_time_interval => $1::bigint)"
# So that an operator's policies, which count from now, know what an id is.
_MAKE_NOW = """
    CREATE FUNCTION ticks_now() RETURNS bigint LANGUAGE sql STABLE
    AS 'SELECT (extract(epoch FROM now()) * 1000)::bigint'"""
_SET_NOW = "SELECT {schema}.set_integer_now_func('ticks', 'ticks_now')"

_IS_HYPERTABLE = """
    SELECT EXISTS (SELECT FROM timescaledb_information.hypertables JOIN pg_namespace ON nspname = hypertable_schema
        JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = hypertable_name
        WHERE pg_class.oid = 'ticks'::regclass)"""
# By the range of the chunk itself: an operator may have set another interval, or merged chunks.
_OLDEST = """
    SELECT range_start_integer, range_end_integer FROM timescaledb_information.chunks
    JOIN pg_namespace ON nspname = hypertable_schema
    JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = hypertable_name
    WHERE pg_class.oid = 'ticks'::regclass AND range_end_integer <= $1 ORDER BY range_end_integer LIMIT 1"""
_DROP = "SELECT {schema}.drop_chunks('ticks', older_than => $1::bigint)"


class Timescale(NamedTuple):
    """The extension in a database, and what it makes of `ticks`; see layout.Layout."""

    schema: str  # quoted as an identifier
    version: str

    def __str__(self) -> str:
        return f"prices in a hypertable of TimescaleDB {self.version}"

    async def make_hypertable(self, connection: Connection) -> None:
        """Make `ticks`, which is empty, a hypertable."""
        await connection.execute(_MAKE.format(schema=self.schema), WINDOW)
        await connection.execute(_MAKE_NOW)
        await connection.execute(_SET_NOW.format(schema=self.schema))

    async def make_room(self, connection: Connection, ids: Iterable[int], *, again: bool = False) -> None:
        """Chunks make themselves."""

    async def oldest(self, connection: Connection, before: int) -> Window | None:
        """The range of the first chunk, if it ends at `before` or earlier."""
        row = await connection.fetchrow(_OLDEST, before)
        return None if row is None else Window(*row)

    async def drop(self, connection: Connection, window: Window) -> bool:
        """Drop the chunk with this range; False where none went."""
        return bool(await connection.fetch(_DROP.format(schema=self.schema), window.end))


async def find(connection: Connection) -> Timescale | None:
    """The extension, if the database has it. Raises StoreError where it isn't loaded: it would lose sight of rows."""
    row = await connection.fetchrow(_FIND)
    if row is None:
        return None
    if not await connection.fetchval(_IS_LOADED):
        raise StoreError(
            "postgresql: the database has TimescaleDB, but the server hasn't loaded it, so prices kept now would be "
            "invisible once it has; add timescaledb to its shared_preload_libraries and restart it"
        )
    return Timescale(*row)


async def is_hypertable(connection: Connection) -> bool:
    """Whether `ticks` is one; the database must have the extension."""
    return bool(await connection.fetchval(_IS_HYPERTABLE))
