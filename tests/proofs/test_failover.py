"""A PostgreSQL primary dies and its standby takes over: prices follow it."""

import asyncio
import contextlib
import signal

import asyncpg

from btc_price_tracker.store import open_store
from btc_price_tracker.store.paging import pages
from btc_price_tracker.testing import ManualClock
from databases.postgres import PostgresServer, running
from live import Client, Live, live


async def test_writes_follow_a_failover_to_the_standby() -> None:
    clock = ManualClock()
    with running() as primary:
        database = await primary.new_database()
        with running(primary) as standby:
            hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
            url = primary.url(database, target_session_attrs="primary")
            url = url.replace(f"127.0.0.1:{primary.port}", hosts)
            async with live(clock, store_url=url) as service:
                ids = [await service.publish() for _ in range(3)]
                await caught_up(standby, database, ids[-1])
                primary.stop(signal.SIGQUIT)
                async with await Client.get(
                    service.port, f"/prices/stream?last_event_id={ids[0] - 1}"
                ) as client:
                    ids += [await service.publish() for _ in range(3)]
                    assert await client.prices(6) == ids
                    assert fails(service)
                    await standby.execute("SELECT pg_promote()")
                    while fails(service):
                        await clock.advance(1)
                        await asyncio.sleep(0.01)
                    ids.append(await service.publish())
                    assert await client.prices(1) == ids[-1:]
                assert not fails(service)
            store = await open_store(standby.url(database), capacity=1)
            assert [tick.id async for page in pages(store, 0) for tick in page] == ids
            await store.close()


def fails(service: Live) -> bool:
    return service.service.outbox.fault is not None


async def caught_up(standby: PostgresServer, database: str, tick_id: int) -> None:
    """Wait until the standby has the price, and before that the table."""
    connection = await asyncpg.connect(standby.url(database))
    has_price = False
    while not has_price:
        with contextlib.suppress(asyncpg.UndefinedTableError):
            has_price = await connection.fetchval("SELECT EXISTS (SELECT FROM ticks WHERE id = $1)", tick_id)
        await asyncio.sleep(0.01)
    await connection.close()
