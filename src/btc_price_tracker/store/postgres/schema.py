"""The tables and the migrations between their versions; several instances may start at once."""

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store.postgres import timescale
from btc_price_tracker.store.postgres.connections import Connection

LOCK = 0x42544350  # "BTCP": the advisory lock for creating or changing tables

# Version n of the schema is the result of the first n of these. Append only. Amounts are in cents, quotes are encoded
# by store/codec.py.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE ticks (id bigint PRIMARY KEY, price bigint NOT NULL, status text NOT NULL,
           sources integer NOT NULL, spread bigint NOT NULL, age integer NOT NULL, method text NOT NULL,
           quotes bytea) {partitioned}""",
        """CREATE TABLE quarter_hours (start bigint PRIMARY KEY, first bigint NOT NULL, last bigint NOT NULL,
           open bigint NOT NULL, high bigint NOT NULL, low bigint NOT NULL, close bigint NOT NULL,
           count bigint NOT NULL)""",
        "CREATE TABLE retention (dropped bigint NOT NULL)",
        "INSERT INTO retention VALUES (0)",
    ),
    (
        # NULL in older rows, of which only the age in seconds is known.
        "ALTER TABLE ticks ADD COLUMN quote_age bigint",
        "ALTER TABLE ticks ADD COLUMN recorded boolean",
    ),
)

_PARTITIONED = "PARTITION BY RANGE (id)"

# Not to_regclass(), whose cache may lack a table that another instance has just created.
_IS_OURS = """
    SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'btc_price_tracker' AND pg_table_is_visible(oid))"""
_VERSION = "SELECT version FROM btc_price_tracker"
_CREATE_VERSION = "CREATE TABLE btc_price_tracker AS SELECT 0 AS version"
_SET_VERSION = "UPDATE btc_price_tracker SET version = $1"


async def migrate(connection: Connection) -> None:
    """Migrate the tables to the newest schema, in one transaction. Raises StoreError where they are newer."""
    if await _version(connection) == len(MIGRATIONS):
        return  # without a lock or a write, so that a standby can be used
    async with connection.transaction():
        await lock(connection)
        version = await _version(connection)  # another instance may have migrated meanwhile
        if version > len(MIGRATIONS):
            raise StoreError(
                f"postgresql: the tables were created by a newer version (schema {version}, this version supports "
                f"{len(MIGRATIONS)}); install that version, or name another database in STORE_URL"
            )
        await _apply(connection, version)


async def lock(connection: Connection) -> None:
    """Acquire the lock for creating or changing tables, until the end of the transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)


async def _version(connection: Connection) -> int:
    if not await connection.fetchval(_IS_OURS):
        return 0
    return int(await connection.fetchval(_VERSION))


async def _apply(connection: Connection, version: int) -> None:
    extension = await timescale.find(connection) if version == 0 else None
    if version == 0:
        await connection.execute(_CREATE_VERSION)
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            await connection.execute(statement.format(partitioned="" if extension else _PARTITIONED))
    if extension:
        await extension.create_hypertable(connection)
    await connection.execute(_SET_VERSION, len(MIGRATIONS))
