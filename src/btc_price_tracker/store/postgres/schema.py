"""The tables, and the way from each version of them to the next; several instances may start at once."""

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store.postgres import timescale
from btc_price_tracker.store.postgres.connections import Connection

LOCK = 0x42544350  # "BTCP": the advisory lock under which tables are made or changed

# Version n of the schema is what the first n of these make. Append only. Amounts are in cents, quotes as
# store/codec.py has them.
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
        # NULL in rows from before: their age in seconds is what is known of them.
        "ALTER TABLE ticks ADD COLUMN quote_age bigint",
        "ALTER TABLE ticks ADD COLUMN recorded boolean",
    ),
)

_NATIVELY = "PARTITION BY RANGE (id)"

# Not to_regclass(): it may answer from a cache that doesn't know yet what another instance has just made.
_IS_OURS = """
    SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'btc_price_tracker' AND pg_table_is_visible(oid))"""
_VERSION = "SELECT version FROM btc_price_tracker"
_BEGIN = "CREATE TABLE btc_price_tracker AS SELECT 0 AS version"
_SET_VERSION = "UPDATE btc_price_tracker SET version = $1"


async def migrate(connection: Connection) -> None:
    """Bring the tables to the newest schema, in one transaction. Raises StoreError where they are newer."""
    if await _version(connection) == len(MIGRATIONS):
        return  # without a lock or a write, so that a standby can be read
    async with connection.transaction():
        await lock(connection)
        version = await _version(connection)  # another instance may have been quicker
        if version > len(MIGRATIONS):
            raise StoreError(
                f"postgresql: a newer version made the tables (schema {version}, this one knows "
                f"{len(MIGRATIONS)}); install that version, or name another database in STORE_URL"
            )
        await _apply(connection, version)


async def lock(connection: Connection) -> None:
    """Wait for one's turn to make or change tables; it ends with the transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)


async def _version(connection: Connection) -> int:
    if not await connection.fetchval(_IS_OURS):
        return 0
    return int(await connection.fetchval(_VERSION))


async def _apply(connection: Connection, version: int) -> None:
    extension = await timescale.find(connection) if version == 0 else None
    if version == 0:
        await connection.execute(_BEGIN)
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            await connection.execute(statement.format(partitioned="" if extension else _NATIVELY))
    if extension:
        await extension.make_hypertable(connection)
    await connection.execute(_SET_VERSION, len(MIGRATIONS))
