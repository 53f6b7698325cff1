"""PostgresStore behind a PgBouncer in transaction mode without prepared statements."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal

import asyncpg
import pytest

from btc_price_tracker.errors import InvalidStoreUrl, StoreError
from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store import Span, Store, open_store
from btc_price_tracker.store.paging import pages
from btc_price_tracker.store.postgres import errors
from btc_price_tracker.store.postgres.window import WINDOW
from databases import pgbouncer
from databases.pgbouncer import PgBouncer
from databases.postgres import PostgresServer

SWITCHED_OFF = "?statement_cache_size=0"

TIMEOUT = 60.0  # seconds: a busy machine may take longer than the default


def ticks(*tick_ids: int) -> list[Tick]:
    return [Tick(each, Decimal("1.00"), Status.OK, 3, Decimal("0.10"), 0, "vote3/1") for each in tick_ids]


@pytest.fixture(scope="module")
def pooler(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    with pgbouncer.running(postgres_server, servers=3) as running:
        yield running


@asynccontextmanager
async def opened(url: str, count: int) -> AsyncIterator[list[Store]]:
    async with AsyncExitStack() as stack:
        stores = []
        for _ in range(count):
            stores.append(store := await open_store(url, capacity=1, operation_timeout=TIMEOUT))
            stack.push_async_callback(store.close)
        yield stores


async def use(store: Store, first: int, times: int) -> None:
    for tick_id in range(first, first + times):
        assert await store.append(ticks(tick_id)) == 1
        await asyncio.gather(
            store.span(),
            store.newest(3),
            store.candles(60, 0, 2**40, 5),
            store.page(0, None, 3),
            store.get(tick_id),
        )


async def test_two_instances_work_without_statement_cache(
    postgres_server: PostgresServer, pooler: PgBouncer
) -> None:
    url = pooler.url(await postgres_server.new_database(), SWITCHED_OFF)
    async with opened(url, 2) as (one, other):
        await asyncio.gather(use(one, 1, 20), use(other, WINDOW, 20))
        assert await one.span() == Span(1, WINDOW + 19, 0)
        assert await one.prune(WINDOW) == 20
        await other.append(ticks(5))  # its partition was dropped, which `other` hasn't noticed
        assert [tick.id async for page in pages(one, 0) for tick in page] == [5, *range(WINDOW, WINDOW + 20)]


async def test_statement_cache_error_names_the_remedy(
    postgres_server: PostgresServer, pooler: PgBouncer
) -> None:
    url = pooler.url(await postgres_server.new_database())
    with pytest.raises(
        StoreError, match=r"a pooler in transaction mode .* add \?statement_cache_size=0 to STORE_URL"
    ):
        async with opened(url, 2) as (one, other):
            await asyncio.gather(use(one, 1, 20), use(other, 101, 20))


@pytest.mark.parametrize(
    "error",
    [asyncpg.DuplicatePreparedStatementError("x"), asyncpg.InvalidSQLStatementNameError("x")],
    ids=repr,
)
def test_both_pooler_errors_have_the_remedy(error: Exception) -> None:
    assert "statement_cache_size=0" in str(errors.store_error(error))


async def test_rejected_option_is_named(pooler: PgBouncer) -> None:
    with pytest.raises(StoreError, match=r"rejected an option of STORE_URL; remove .* parameter: options\)"):
        await open_store(
            pooler.url("postgres", "?options=-c%20search_path%3Dx"), capacity=1, operation_timeout=TIMEOUT
        )


@pytest.mark.parametrize("size", ["", "x", "-1", "1.5"])
async def test_invalid_cache_size_is_an_invalid_url(size: str) -> None:
    with pytest.raises(InvalidStoreUrl, match="STORE_URL can't be parsed"):
        await open_store(
            f"postgresql://127.0.0.1:1/prices?statement_cache_size={size}",
            capacity=1,
            operation_timeout=TIMEOUT,
        )


@pytest.mark.parametrize(
    "options",
    ["?statement_cache_size=0", "?statement_cache_size=5&sslmode=disable", "?statement_cache_size=1&"],
)
async def test_cache_size_is_no_session_setting(postgres_server: PostgresServer, options: str) -> None:
    url = postgres_server.url(await postgres_server.new_database()).rstrip("?") + options
    async with opened(url, 1) as (store,):
        assert await store.span() == Span(0, 0, 0)
