"""Calls of TimescaleDB, to a fake extension of that name.

Its chunks are rows of a table; dropping one deletes its ticks. The real extension was tested by hand, version 2.23:
docs/decisions/stores.md.
"""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store import Span, Store, open_store
from btc_price_tracker.store.postgres.window import WINDOW
from databases.postgres import PostgresServer

DAY = 86_400_000

SCRIPT = """
CREATE TABLE @extschema@.calls (call text);
CREATE SCHEMA timescaledb_information;
CREATE TABLE timescaledb_information.hypertables (hypertable_schema name, hypertable_name name);
CREATE TABLE timescaledb_information.chunks (hypertable_schema name, hypertable_name name,
    range_start_integer bigint, range_end_integer bigint);

CREATE FUNCTION @extschema@.create_hypertable(relation regclass, time_column_name name, chunk_time_interval bigint)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO @extschema@.calls
    VALUES (format('create_hypertable %s %s %s', relation, time_column_name, chunk_time_interval));
    INSERT INTO timescaledb_information.hypertables
    SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = relation;
$$;

CREATE FUNCTION @extschema@.set_integer_now_func(hypertable regclass, integer_now_func regproc)
RETURNS void LANGUAGE sql AS
$$ INSERT INTO @extschema@.calls VALUES (format('set_integer_now_func %s %s', hypertable, integer_now_func)) $$;

CREATE FUNCTION @extschema@.drop_chunks(relation regclass, older_than bigint)
RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE chunk record;
BEGIN
    INSERT INTO @extschema@.calls VALUES (format('drop_chunks %s %s', relation, older_than));
    FOR chunk IN DELETE FROM timescaledb_information.chunks WHERE range_end_integer <= older_than RETURNING * LOOP
        EXECUTE format('DELETE FROM %s WHERE id >= %s AND id < %s', relation, chunk.range_start_integer,
            chunk.range_end_integer);
        RETURN NEXT chunk.range_start_integer;
    END LOOP;
END $$;
"""

LOADED = {"options": "-c timescaledb.restoring=off"}  # a setting that the library defines

TIMEOUT = 60.0  # seconds: a busy machine may take longer than the default


def ticks(*tick_ids: int) -> list[Tick]:
    return [Tick(each, Decimal("1.00"), Status.OK, 3, Decimal("0.10"), 0, "vote3/1") for each in tick_ids]


@pytest.fixture
def extensions() -> Iterator[Path]:
    """A folder with the extension that the server can read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        inner = path / "extension"
        inner.mkdir()
        (inner / "timescaledb.control").write_text("default_version = '2.0'\nrelocatable = false\n")
        (inner / "timescaledb--2.0.sql").write_text(SCRIPT)
        yield path


class Database:
    """A database with the extension in a schema outside the search path, and a connection of its owner."""

    def __init__(
        self, server: PostgresServer, name: str, client: "asyncpg.Connection[asyncpg.Record]"
    ) -> None:
        self.url = server.url(name, **LOADED)
        self.unloaded_url = server.url(name)
        self.client = client

    async def divide(self, *ranges: tuple[int, int]) -> None:
        """Add chunks with these ranges."""
        chunks = [("public", "ticks", *each) for each in ranges]
        await self.client.executemany(
            "INSERT INTO timescaledb_information.chunks VALUES ($1, $2, $3, $4)", chunks
        )

    async def chunks(self) -> list[tuple[int, int]]:
        rows = await self.client.fetch("SELECT * FROM timescaledb_information.chunks ORDER BY 3")
        return [(start, end) for _, _, start, end in rows]

    async def calls(self) -> list[str]:
        return [call for (call,) in await self.client.fetch('SELECT call FROM "Time Scale".calls')]


@pytest.fixture
async def database(postgres_server: PostgresServer, extensions: Path) -> AsyncIterator[Database]:
    name = await postgres_server.new_database()
    client = await asyncpg.connect(postgres_server.url(name))
    await client.execute(f"SET extension_control_path = '$system:{extensions}'")
    await client.execute('CREATE SCHEMA "Time Scale"; CREATE EXTENSION timescaledb SCHEMA "Time Scale"')
    yield Database(postgres_server, name, client)
    await client.close()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = await open_store(url, capacity=1, operation_timeout=TIMEOUT)
    try:
        yield store
    finally:
        await store.close()


async def test_ticks_is_a_hypertable_with_integer_now_function(database: Database) -> None:
    async with opened(database.url) as store:
        assert await store.append(ticks(1, WINDOW)) == 2
        assert (await store.describe()).endswith("prices in a hypertable of TimescaleDB 2.0")
    assert await database.calls() == [
        f"create_hypertable ticks id {WINDOW}",
        "set_integer_now_func ticks ticks_now",
    ]
    now = "SELECT abs(ticks_now() - extract(epoch FROM now()) * 1000) < 1000"
    assert await database.client.fetchval(now)
    children = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'ticks'::regclass"
    assert await database.client.fetchval(children) == 0


async def test_chunks_are_dropped_by_their_own_range(database: Database) -> None:
    async with opened(database.url) as store:
        await database.divide((0, 10 * DAY), (10 * DAY, 50 * DAY), (50 * DAY, 60 * DAY))
        await store.append(ticks(1, 9 * DAY, 10 * DAY, 40 * DAY, 50 * DAY, 51 * DAY))
        assert await store.prune(WINDOW) == 3  # the second chunk starts before it and ends after it
        assert await store.span() == Span(40 * DAY, 51 * DAY, 10 * DAY)
        assert await database.chunks() == [(10 * DAY, 50 * DAY), (50 * DAY, 60 * DAY)]
        assert await store.prune(50 * DAY + 1) == 2
        assert await store.span() == Span(51 * DAY, 51 * DAY, 50 * DAY)
        assert await database.chunks() == [(50 * DAY, 60 * DAY)]
        assert [candle.count for candle in await store.candles(900, 0, 2**40, 10)] == [1]
    assert [call for call in await database.calls() if "drop" in call] == [
        f"drop_chunks ticks {10 * DAY}",
        f"drop_chunks ticks {50 * DAY}",
    ]


async def test_empty_chunk_is_dropped(database: Database) -> None:
    async with opened(database.url) as store:
        await database.divide((0, DAY), (DAY, 2 * DAY))
        await store.append(ticks(DAY, 3 * DAY))
        assert await store.prune(2 * DAY) == 1
        assert await database.chunks() == []


@pytest.mark.parametrize(
    "obstacle",
    [
        """CREATE OR REPLACE FUNCTION "Time Scale".drop_chunks(relation regclass, older_than bigint)
        RETURNS SETOF text LANGUAGE sql AS 'SELECT NULL::text WHERE false'""",
        "UPDATE timescaledb_information.chunks SET range_start_integer = 5",
    ],
    ids=["a chunk that stays", "a row before all chunks"],
)
async def test_ticks_of_a_chunk_that_stays_are_deleted(database: Database, obstacle: str) -> None:
    async with opened(database.url) as store:
        await database.divide((0, DAY))
        await store.append(ticks(1, 2, DAY + 1))
        await database.client.execute(obstacle)
        assert await store.prune(DAY) == 2
        assert await store.span() == Span(DAY + 1, DAY + 1, 2)


async def test_chunks_dropped_by_a_policy_count_as_dropped(database: Database) -> None:
    async with opened(database.url) as store:
        await database.divide((0, DAY))
        await store.append(ticks(1, 2, DAY + 1))
        await database.client.execute(f"SELECT \"Time Scale\".drop_chunks('ticks', {DAY})")
        assert await store.span() == Span(DAY + 1, DAY + 1, DAY)


async def test_extension_that_is_not_loaded_is_refused(
    database: Database,
) -> None:
    message = "the server hasn't loaded it.*add timescaledb to its shared_preload_libraries and restart"
    with pytest.raises(StoreError, match=message):
        await open_store(database.unloaded_url, capacity=1, operation_timeout=TIMEOUT)
    async with opened(database.url) as store:
        await store.append(ticks(1))
    with pytest.raises(StoreError, match=message):
        await open_store(database.unloaded_url, capacity=1, operation_timeout=TIMEOUT)


async def test_native_partitions_stay_when_the_extension_is_created(
    postgres_server: PostgresServer, extensions: Path
) -> None:
    name = await postgres_server.new_database()
    async with opened(postgres_server.url(name)) as store:
        await store.append(ticks(1))
    client = await asyncpg.connect(postgres_server.url(name))
    await client.execute(f"SET extension_control_path = '$system:{extensions}'; CREATE EXTENSION timescaledb")
    await client.close()
    async with opened(postgres_server.url(name)) as store:
        assert await store.prune(WINDOW) == 1
        assert (await store.describe()).endswith("prices in native partitions of 28 days")


async def test_table_stays_usable_without_its_extension(database: Database) -> None:
    async with opened(database.url) as store:
        await store.append(ticks(1, 2))
    await database.client.execute("DROP EXTENSION timescaledb CASCADE")
    async with opened(database.unloaded_url) as store:
        assert (await store.describe()).endswith("prices in one table")
        assert await store.prune(2) == 1
        assert await store.append(ticks(3)) == 1


async def test_delete_uses_a_custom_plan(
    database: Database,
) -> None:
    """A generic plan would decompress entire chunks, up to a limit of TimescaleDB."""
    async with opened(database.url) as store:
        await store.append(ticks(1, 2))
        await database.client.execute(
            "CREATE TABLE seen (mode text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO seen VALUES (current_setting('plan_cache_mode')); RETURN NULL; END $$; "
            "CREATE TRIGGER note AFTER DELETE ON ticks EXECUTE FUNCTION note()"
        )
        await store.prune(2)
        assert await database.client.fetchval("SELECT mode FROM seen") == "force_custom_plan"
