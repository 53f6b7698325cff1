"""PostgresStore on a real server: partitions, migrations, outages, and errors without passwords."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import asyncpg
import pytest
from msgspec.structs import replace

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Tick
from btc_price_tracker.store import Span, open_store
from btc_price_tracker.store.paging import pages
from btc_price_tracker.store.postgres import MAX_READERS, PostgresStore, retention, schema
from btc_price_tracker.store.postgres.window import WINDOW
from databases.error_text import SECRET, full_text
from databases.postgres import PASSWORD, PostgresServer
from timeouts import leap

TIMEOUT = 60.0  # seconds: a busy machine may take longer than the default


def ticks(*tick_ids: int) -> list[Tick]:
    quotes = (AssessedQuote(source="kraken", kind=Kind.EXCHANGE, last=Decimal("1.0")),)
    return [
        Tick(each, Decimal("1.00"), Status.OK, 3, Decimal("0.10"), 0, "vote3/1", quotes) for each in tick_ids
    ]


@pytest.fixture
async def database(postgres_server: PostgresServer) -> str:
    return await postgres_server.new_database()


@pytest.fixture
async def url(postgres_server: PostgresServer) -> str:
    return await postgres_server.new_schema()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = await open_store(url, capacity=1, operation_timeout=TIMEOUT)
    assert isinstance(store, PostgresStore)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def another_client(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def ids(store: PostgresStore) -> list[int]:
    return [tick.id async for page in pages(store, 0) for tick in page]


async def query(url: str, statement: str) -> list[object]:
    """The first column of a query by another client."""
    async with another_client(url) as client:
        return [row[0] for row in await client.fetch(statement)]


async def partitions(url: str) -> set[int]:
    names = """
        SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid
        WHERE relkind = 'r' AND pg_table_is_visible(oid)"""
    return {int(str(name).removeprefix("ticks_")) for name in await query(url, names)}


async def test_concurrent_instances_store_each_id_once(url: str) -> None:
    async with opened(url) as one, opened(url) as other:
        batches = [ticks(*range(start, start + 40)) for start in range(1, 200, 20)]
        await asyncio.gather(*(store.append(batch) for batch in batches for store in (one, other)))
        assert await ids(one) == [*range(1, 221)]
        (candle,) = await other.candles(60, 0, 60, 9)
        assert candle.count == 220


async def test_damaged_quotes_affect_only_their_tick(url: str) -> None:
    async with opened(url) as store:
        await store.append(ticks(1, 2))
        async with another_client(url) as client:
            await client.execute(r"UPDATE ticks SET quotes = '\x00' WHERE id = 1")
        with pytest.raises(StoreError, match="tick 1: quotes in an unknown format"):
            await store.get(1)
        assert await store.get(2) == ticks(2)[0]


# Partitions


async def test_partitions_are_created_one_window_ahead(url: str) -> None:
    async with opened(url) as store:
        await store.append(ticks(5 * WINDOW + 1))
        assert await partitions(url) == {5, 6}
        await store.append(ticks(6 * WINDOW, 2 * WINDOW - 1))
        assert await partitions(url) == {1, 2, 5, 6, 7}
        assert await ids(store) == [2 * WINDOW - 1, 5 * WINDOW + 1, 6 * WINDOW]


async def test_old_partition_is_dropped(url: str) -> None:
    async with opened(url) as store:
        await store.append(ticks(1, 2, WINDOW, 3 * WINDOW, 3 * WINDOW + 5))
        assert await store.prune(3 * WINDOW + 1) == 4
        assert await partitions(url) == {3, 4}
        assert await store.span() == Span(3 * WINDOW + 5, 3 * WINDOW + 5, 3 * WINDOW)
        assert await query(url, "SELECT count FROM quarter_hours") == [1]
        assert await store.prune(4 * WINDOW) == 1
        assert await partitions(url) == {4}


async def test_old_partition_is_dropped_without_deleting_rows(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    async def traced(_connection: object, before: int, _batch: int) -> int:
        calls.append(before)
        return 0

    monkeypatch.setattr(retention, "delete_batch", traced)
    async with opened(url) as store:
        await store.append(ticks(*range(1, 5000)))
        assert await store.prune(WINDOW) == 4999
        assert calls == [WINDOW]
        assert await ids(store) == []


async def test_partition_dropped_by_another_instance_is_created_again(
    url: str,
) -> None:
    async with opened(url) as one, opened(url) as other:
        await one.append(ticks(1))
        assert await other.prune(WINDOW) == 1
        await one.append(ticks(2, 2 * WINDOW))
        assert await ids(other) == [2, 2 * WINDOW]
        assert await one.span() == Span(2, 2 * WINDOW, 1)


async def test_concurrent_instances_create_a_partition_once(url: str) -> None:
    async with opened(url) as one, opened(url) as other:
        await asyncio.gather(*(store.append(ticks(at)) for at in range(1, 9) for store in (one, other)))
        assert await partitions(url) == {0, 1}


async def test_slow_reader_blocks_no_append_and_prune_times_out(
    url: str,
) -> None:
    async with opened(url) as store, another_client(url) as dump:
        await store.append(ticks(1))
        async with dump.transaction():
            await dump.execute("SELECT * FROM ticks")
            await store.append(ticks(9 * WINDOW))
            with pytest.raises(StoreError, match="a table is locked by another client; it is retried"):
                await store.prune(WINDOW)
            assert await ids(store) == [1, 9 * WINDOW]
        assert await store.prune(WINDOW) == 1


async def test_foreign_partition_is_kept_and_its_rows_are_pruned(url: str) -> None:
    async with opened(url) as store, another_client(url) as client:
        await store.append(ticks(5 * WINDOW))
        await client.execute("CREATE TABLE theirs PARTITION OF ticks DEFAULT")
        await client.execute("INSERT INTO ticks SELECT 1, price, status, 3, 10, 0, method FROM ticks")
        await store.append(ticks(8 * WINDOW))
        assert await ids(store) == [1, 5 * WINDOW, 8 * WINDOW]
        assert await store.prune(8 * WINDOW) == 2
        assert await store.span() == Span(8 * WINDOW, 8 * WINDOW, 5 * WINDOW)
        assert await query(url, "SELECT 'theirs'::regclass::text") == ["theirs"]


# Schema


async def test_concurrent_instances_create_the_tables_once(url: str) -> None:
    stores = await asyncio.gather(*(open_store(url, capacity=1, operation_timeout=TIMEOUT) for _ in range(4)))
    await stores[0].append(ticks(1))
    assert await stores[3].span() == Span(1, 1, 0)
    assert await query(url, "SELECT version FROM btc_price_tracker") == [len(schema.MIGRATIONS)]
    for store in stores:
        await store.close()


async def test_older_schema_is_migrated_with_its_ticks(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        async with opened(url):
            pass
    async with another_client(url) as client:
        await client.execute("CREATE TABLE ticks_0 PARTITION OF ticks FOR VALUES FROM (0) TO (2419200000)")
        await client.execute("INSERT INTO ticks VALUES (1, 100, 'stale', 0, 10, 7, 'vote3/1')")
    async with opened(url) as store:
        await store.append([replace(tick, quote_age=1234) for tick in ticks(2)])
        assert [(each.id, each.quote_age) for each in await store.newest(2)] == [(1, 7000), (2, 1234)]


async def test_failed_migration_changes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = schema.MIGRATIONS
    async with opened(url) as store:
        await store.append(ticks(1))
    monkeypatch.setattr(schema, "MIGRATIONS", (*whole, ("DROP TABLE retention", "SELECT 1/0")))
    with pytest.raises(StoreError, match="division by zero"):
        await open_store(url, capacity=1, operation_timeout=TIMEOUT)
    monkeypatch.setattr(schema, "MIGRATIONS", whole)
    async with opened(url) as store:
        assert await store.span() == Span(1, 1, 0)


async def test_newer_schema_is_refused(url: str) -> None:
    async with opened(url):
        pass
    async with another_client(url) as client:
        await client.execute("UPDATE btc_price_tracker SET version = 99")
    with pytest.raises(StoreError, match=r"created by a newer version \(schema 99, this version supports"):
        await open_store(url, capacity=1, operation_timeout=TIMEOUT)


async def test_foreign_tables_are_refused_and_left_unchanged(url: str) -> None:
    async with another_client(url) as client:
        await client.execute("CREATE TABLE ticks (x int)")
    with pytest.raises(StoreError, match="tables of another program have the same names"):
        await open_store(url, capacity=1, operation_timeout=TIMEOUT)
    assert await query(
        url, "SELECT attname FROM pg_attribute WHERE attrelid = 'ticks'::regclass AND attnum > 0"
    ) == ["x"]


async def test_url_options_choose_the_schema(postgres_server: PostgresServer, database: str) -> None:
    await postgres_server.execute("CREATE SCHEMA ours", database)
    async with opened(postgres_server.url(database, options="-c search_path=ours")) as store:
        await store.append(ticks(1))
    tables = "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'ticks'"
    assert await query(postgres_server.url(database), tables) == ["ours"]


# Outages


async def terminate(url: str) -> None:
    """Terminate all other connections to the database."""
    await query(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


async def test_terminated_connections_are_replaced(url: str) -> None:
    async with opened(url) as store:
        for at in range(1, 6):
            await store.append(ticks(at))
            await terminate(url)
            assert await store.span() == Span(1, at, 0)


async def waiting(client: "asyncpg.Connection[asyncpg.Record]", connections: int) -> list[int]:
    """Wait until this many connections wait for the table `ticks`; returns their process ids."""
    pids: list[int] = []
    while len(pids) < connections:
        pids = [
            pid
            for (pid,) in await client.fetch(
                "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'ticks'::regclass"
            )
        ]
    return pids


async def test_work_is_retried_if_its_connection_is_terminated(url: str) -> None:
    async with opened(url) as store, another_client(url) as client:
        async with client.transaction():
            await client.execute("LOCK TABLE ticks")
            append = asyncio.create_task(store.append(ticks(1)))
            (waiter,) = await waiting(client, 1)
            await client.execute("SELECT pg_terminate_backend($1)", waiter)
        await append
        assert await ids(store) == [1]


async def test_cancelled_open_leaves_no_connection(postgres_server: PostgresServer, database: str) -> None:
    url = postgres_server.url(database)
    async with opened(url):
        pass
    others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    async with another_client(url) as client:
        async with client.transaction():
            await client.execute("LOCK TABLE btc_price_tracker")
            opening = asyncio.create_task(open_store(url, capacity=1, operation_timeout=TIMEOUT))
            while not await client.fetch("SELECT pid FROM pg_locks WHERE NOT granted"):
                pass
            opening.cancel()
            await asyncio.wait({opening})
        assert opening.cancelled()
        async with asyncio.timeout(30):  # the server needs a moment to notice
            while await client.fetch(others):
                pass


async def test_outage_raises_until_the_server_is_back(postgres_server: PostgresServer, url: str) -> None:
    async with opened(url) as store:
        await store.append(ticks(1))
        await asyncio.to_thread(postgres_server.stop)
        try:
            for call in (store.append(ticks(2)), store.span(), store.prune(1), store.candles(60, 0, 60, 1)):
                with pytest.raises(StoreError, match="the server can't be reached; check host, port"):
                    await call
            with pytest.raises(StoreError, match="can't be reached"):
                await open_store(url, capacity=1, operation_timeout=TIMEOUT)
        finally:
            await asyncio.to_thread(postgres_server.start)
        await store.append(ticks(2))
        assert await ids(store) == [1, 2]


async def test_query_timeout_raises_and_the_next_query_succeeds(url: str) -> None:
    async with opened(url) as store, another_client(url) as client:
        await store.append(ticks(1))
        async with client.transaction():
            await client.execute("LOCK TABLE ticks")
            append = asyncio.create_task(store.append(ticks(2)))
            await waiting(client, 1)
            leap(TIMEOUT)
            with pytest.raises(StoreError, match="no response in time"):
                await append
        await store.append(ticks(3))
        assert await ids(store) == [1, 3]


async def test_statement_timeout_is_named(postgres_server: PostgresServer, database: str) -> None:
    unlimited = postgres_server.url(database, options="-c statement_timeout=0")
    async with opened(postgres_server.url(database)) as store:
        await postgres_server.execute(f"ALTER DATABASE {database} SET statement_timeout = 200")
        await terminate(unlimited)  # the limit is for new connections
        async with another_client(unlimited) as client, client.transaction():
            await client.execute("LOCK TABLE ticks")
            with pytest.raises(StoreError, match="the server cancelled the query; check its load"):
                await store.span()
        await postgres_server.execute(f"ALTER DATABASE {database} RESET statement_timeout")
        await terminate(unlimited)
        assert await store.span() == Span(0, 0, 0)


async def test_reads_time_out_while_all_connections_are_busy(url: str) -> None:
    async with opened(url) as store, another_client(url) as client:
        async with client.transaction():
            await client.execute("LOCK TABLE ticks")
            reads = asyncio.gather(*(store.newest(1) for _ in range(MAX_READERS + 3)), return_exceptions=True)
            await waiting(client, MAX_READERS)
            leap(TIMEOUT)
            outcomes = await reads
        assert all(isinstance(outcome, StoreError) for outcome in outcomes)
        assert await store.newest(1) == []


async def test_append_does_not_wait_for_busy_readers(url: str) -> None:
    async with opened(url) as store, another_client(url) as client:
        async with client.transaction():
            await client.execute("LOCK TABLE retention")  # which append() doesn't use
            blocked = asyncio.gather(*(store.span() for _ in range(2 * MAX_READERS)), store.prune(1))
            while await client.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") <= MAX_READERS:
                pass
            assert await store.append(ticks(1)) == 1
            assert not blocked.done()
        *spans, deleted = await blocked
        assert (set(spans), deleted) == ({Span(1, 1, 0)}, 0)


async def test_standby_is_readable_and_append_names_the_remedy(
    postgres_server: PostgresServer, database: str
) -> None:
    url = postgres_server.url(database)
    async with opened(url) as store:
        await store.append(ticks(1))
        await postgres_server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        await terminate(url)
        with pytest.raises(
            StoreError, match=r"read-only; name the primary, or several hosts and target_session"
        ):
            await store.append(ticks(2))
        assert await ids(store) == [1]
        async with opened(url) as reader:
            assert await ids(reader) == [1]
        await postgres_server.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
        await store.append(ticks(2))  # over a new connection: the old ones are still read-only
        assert await ids(store) == [1, 2]


async def test_writable_host_is_chosen_among_several(postgres_server: PostgresServer, database: str) -> None:
    url = postgres_server.url(database, target_session_attrs="read-write")
    here = f"127.0.0.1:{postgres_server.port}"
    async with opened(url.replace(here, f"127.0.0.1:1,{here}")) as store:
        await store.append(ticks(1))


async def test_connecting_to_a_silent_host_times_out() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(StoreError, match="no response in time"),
    ):
        await open_store(
            f"postgresql://127.0.0.1:{silent.getsockname()[1]}/prices", capacity=1, operation_timeout=0.2
        )


# Error messages


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://user:hunter2@127.0.0.1:1/prices", "can't be reached"),
        ("postgresql://user:hunter2@nowhere.invalid/prices", "can't be reached"),
        ("postgresql://user:a/hunter2@127.0.0.1:1/prices", "can't be parsed; write postgresql://"),
        ("postgresql://user:a:hunter2@127.0.0.1:b/prices", "can't be parsed"),
        ("postgresql://user:a@hunter2@127.0.0.1:1/prices", "STORE_URL"),
        ("postgresql://user:[hunter2@127.0.0.1:1/prices", "can't be parsed"),
        ("postgresql://user:hunter2@127.0.0.1:1/prices?sslmode=perhaps", "can't be parsed"),
        ("postgresql://user:a?target_session_attrs=hunter2@127.0.0.1:1/prices", "can't be parsed"),
        ("postgresql://127.0.0.1:1/prices?password=hunter2&user=x", "can't be reached"),
    ],
)
async def test_errors_of_a_url_omit_its_password(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        await open_store(url, capacity=1, operation_timeout=TIMEOUT)
    assert SECRET not in full_text(caught.value)
    assert "Errno" not in str(caught.value)


async def test_errors_of_the_server_omit_the_password(postgres_server: PostgresServer, database: str) -> None:
    refused = {
        postgres_server.url(database, password="hunter2 wrong"): "authentication failed",
        postgres_server.url("nowhere"): "the database doesn't exist; create it",
        postgres_server.url(database, sslmode="require"): "can't be reached; check host, port and TLS",
        postgres_server.url(database, options="-c no_such=1"): "the database failed",
    }
    for url, message in refused.items():
        with pytest.raises(StoreError, match=message) as caught:
            await open_store(url, capacity=1, operation_timeout=TIMEOUT)
        assert SECRET not in full_text(caught.value)
        assert PASSWORD not in full_text(caught.value)


async def test_missing_permission_is_named(postgres_server: PostgresServer, database: str) -> None:
    await postgres_server.execute(f"CREATE ROLE {database}_guest LOGIN PASSWORD 'hunter2'", database)
    url = postgres_server.url(database, password=SECRET).replace("//postgres:", f"//{database}_guest:")
    with pytest.raises(StoreError, match="grant this user the right to create and use") as caught:
        await open_store(url, capacity=1, operation_timeout=TIMEOUT)
    assert SECRET not in full_text(caught.value)


async def test_repr_omits_the_password(url: str) -> None:
    async with opened(url) as store:
        assert SECRET not in f"{store!r}{vars(store)!r}{store._writers!r}{vars(store._writers)!r}"
