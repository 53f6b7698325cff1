"""Pruning on a real server: several instances, restricted roles, and deletions by other programs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import asyncpg
import pytest
from structlog.testing import capture_logs

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store import Span, Store, open_store
from btc_price_tracker.store.paging import pages
from btc_price_tracker.store.postgres.schema import LOCK
from btc_price_tracker.store.postgres.window import WINDOW
from databases.error_text import SECRET
from databases.postgres import PostgresServer

QUARTER = 900_000

TIMEOUT = 60.0  # seconds: a busy machine may take longer than the default


def ticks(*tick_ids: int) -> list[Tick]:
    return [Tick(each, Decimal("1.00"), Status.OK, 3, Decimal("0.10"), 0, "vote3/1") for each in tick_ids]


@pytest.fixture
async def url(postgres_server: PostgresServer) -> str:
    return await postgres_server.new_schema()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = await open_store(url, capacity=1, operation_timeout=TIMEOUT)
    try:
        yield store
    finally:
        await store.close()


async def ids(store: Store) -> list[int]:
    return [tick.id async for page in pages(store, 0) for tick in page]


async def execute(url: str, *statements: str) -> None:
    """Execute statements as the owner of the tables, outside the store."""
    client = await asyncpg.connect(url)
    try:
        for statement in statements:
            await client.execute(statement)
    finally:
        await client.close()


async def counts(store: Store) -> list[int]:
    """The number of ticks in each candle of 15 minutes."""
    return [candle.count for candle in await store.candles(900, 0, 2**40, 10)]


async def test_concurrent_prunes_delete_each_tick_once(url: str) -> None:
    old = [number * WINDOW + offset for number in range(4) for offset in range(3)]
    async with opened(url) as one, opened(url) as other:
        await one.append(ticks(*old, 5 * WINDOW))
        client = await asyncpg.connect(url)
        async with client.transaction():
            await client.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            pruning = [asyncio.create_task(store.prune(5 * WINDOW)) for store in (one, other)]
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while await client.fetchval(waiting) < 2:
                pass
        await client.close()
        assert sum(await asyncio.gather(*pruning)) == len(old)
        assert await one.span() == Span(5 * WINDOW, 5 * WINDOW, old[-1])
        assert await counts(one) == [1]


async def test_repeated_concurrent_prunes_succeed(url: str) -> None:
    async with opened(url) as one, opened(url) as other:
        for number in range(1, 6):
            await one.append(ticks(*range(number * WINDOW, number * WINDOW + 600)))
            left = 0 if number % 2 else 50
            before = (number + 1) * WINDOW if number % 2 else number * WINDOW + 600 - left
            await asyncio.gather(one.prune(before), other.prune(before))
            await one.prune(before)
            assert len(await ids(other)) == left


# A role without DDL rights


@pytest.fixture
async def guest(postgres_server: PostgresServer, url: str) -> str:
    """The URL of a role that may only read and write rows of the tables."""
    async with opened(url):
        pass
    client = await asyncpg.connect(url)
    schema = await client.fetchval("SELECT current_schema()")
    await client.execute(f"CREATE ROLE {schema}_guest LOGIN PASSWORD '{SECRET}'")
    await client.execute(f"GRANT USAGE ON SCHEMA {schema} TO {schema}_guest")
    for what in ("ALL TABLES IN SCHEMA", "TABLES"):
        prefix = f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} " if what == "TABLES" else ""
        where = "" if what == "TABLES" else f" {schema}"
        grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON {what}{where} TO {schema}_guest"
        await client.execute(prefix + grant)
    await client.close()
    base = url.partition("@")[2]
    return f"postgresql://{schema}_guest:{SECRET}@{base}"


async def test_role_without_ddl_rights_appends_and_prunes(url: str, guest: str) -> None:
    async with opened(url) as owner, opened(guest) as store:
        await owner.append(ticks(1, WINDOW, 3 * WINDOW))
        assert await store.append(ticks(2, WINDOW + 1, 3 * WINDOW + 1)) == 3
        assert await store.prune(2 * WINDOW + 1) == 4
        assert await store.prune(2 * WINDOW + 1) == 0
        assert await ids(store) == [3 * WINDOW, 3 * WINDOW + 1]
        assert await store.span() == Span(3 * WINDOW, 3 * WINDOW + 1, WINDOW + 1)
        assert await counts(store) == [2]


async def test_role_without_ddl_rights_uses_existing_partitions(url: str, guest: str) -> None:
    async with opened(url) as owner, opened(guest) as store:
        await owner.append(ticks(1))
        with capture_logs() as logs:
            await store.append(ticks(WINDOW))  # its partition was created ahead, the next one wasn't
            await store.append(ticks(WINDOW + 1))
        assert [(entry["log_level"], entry["numbers"]) for entry in logs] == [("warning", [1, 2])]
        for _ in range(2):
            with pytest.raises(StoreError, match="grant this user the right to create and use"):
                await store.append(ticks(2 * WINDOW))
        await owner.append(ticks(2 * WINDOW))
        assert await store.append(ticks(2 * WINDOW + 1)) == 1
        assert await ids(store) == [1, WINDOW, WINDOW + 1, 2 * WINDOW, 2 * WINDOW + 1]


# Deletions by other programs


async def test_partition_dropped_by_another_program_counts_as_dropped(url: str) -> None:
    async with opened(url) as store:
        await store.append(ticks(1, WINDOW - 1, WINDOW + QUARTER, 2 * WINDOW))
        assert await store.span() == Span(1, 2 * WINDOW, 0)
        await execute(url, "DROP TABLE ticks_0")
        assert await store.span() == Span(WINDOW + QUARTER, 2 * WINDOW, WINDOW + QUARTER - 1)
        assert await store.prune(0) == 0  # records it
        assert await counts(store) == [1, 1]
        await store.append(ticks(5))
        assert await store.span() == Span(5, 2 * WINDOW, WINDOW + QUARTER - 1)
        assert await counts(store) == [1, 1, 1]


async def test_partly_deleted_quarter_hour_is_summed_up_again(url: str) -> None:
    async with opened(url) as store:
        await store.append(ticks(1, 2, 3))
        await execute(url, "DELETE FROM ticks WHERE id < 3")
        assert await store.span() == Span(3, 3, 2)
        await store.prune(0)
        assert await counts(store) == [1]
        assert await store.span() == Span(3, 3, 2)


async def test_last_id_survives_foreign_deletion_of_all_ticks(url: str) -> None:
    async with opened(url) as store:
        await store.append(ticks(1, WINDOW + 7))
        await execute(url, "DELETE FROM ticks")
        assert await store.span() == Span(0, 0, WINDOW + 7)
        await store.prune(0)
        assert await store.span() == Span(0, 0, WINDOW + 7)
        assert await counts(store) == []


async def test_stale_first_tick_is_part_of_the_span(url: str) -> None:
    async with opened(url) as store:
        stale = Tick(5, Decimal("1.00"), Status.STALE, 0, Decimal("0.10"), 9, "vote3/1")
        await store.append([stale, *ticks(7)])
        assert await store.span() == Span(5, 7, 0)
        assert await store.prune(7) == 1
        assert await store.span() == Span(7, 7, 5)
