"""What can fail around the instances, each for as long as a block."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broker.valkey import ValkeyServer
from btc_price_tracker.playback import Fault
from databases.postgres import PostgresServer
from proofs.instances import Fleet, Instance


@asynccontextmanager
async def source_outage(service: Fleet, *sources: str) -> AsyncIterator[None]:
    faults = service.playback.faults
    faults.update(dict.fromkeys(sources, Fault(status=503)))
    yield
    for each in sources:
        del faults[each]


@asynccontextmanager
async def store_outage(server: PostgresServer) -> AsyncIterator[None]:
    await asyncio.to_thread(server.stop)
    yield
    await asyncio.to_thread(server.start)


@asynccontextmanager
async def broker_outage(server: ValkeyServer) -> AsyncIterator[None]:
    server.kill()
    yield
    server.start()


@asynccontextmanager
async def absence(instance: Instance) -> AsyncIterator[None]:
    """It is killed, and started late."""
    await instance.end(signal.SIGKILL)
    yield
    instance.start()


@asynccontextmanager
async def wrong_clock(service: Fleet, leader: Instance) -> AsyncIterator[None]:
    """The leader's is an hour ahead: another leads."""
    leader.signal(signal.SIGRTMIN)
    async with asyncio.timeout(30):
        while await service.leader() is leader:
            await asyncio.sleep(0.2)
    yield
    leader.signal(signal.SIGRTMAX)
