"""Three instances on a real broker and a real database: whatever happens to them, clients miss nothing unannounced."""

import asyncio
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from broker import kafka_server, nats_server, valkey
from broker.service import BrokerServer
from btc_price_tracker.store import open_store
from databases.postgres import PostgresServer
from proofs.instances import Fleet, Transcript, fleet, follow, rounds

SERVERS: dict[str, Callable[[], AbstractContextManager[BrokerServer]]] = {
    "redis": valkey.running,
    "nats": nats_server.running,
    "kafka": kafka_server.running,
}
CLIENTS = 60
LEASE, INTERVAL, SLACK = 6, 1, 8  # seconds; Kafka makes candidates that shut one another out wait once more


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[BrokerServer]:
    with SERVERS[request.param]() as server:
        yield server


async def kill_the_leader(service: Fleet, _: BrokerServer) -> None:
    leader = await service.leader()
    await leader.end(signal.SIGKILL)
    assert await service.next_price(besides=leader) < LEASE + INTERVAL + SLACK
    leader.start()


async def freeze_the_leader(service: Fleet, _: BrokerServer) -> None:
    """For longer than its lease; thawed, it publishes nothing any more."""
    leader = await service.leader()
    leader.signal(signal.SIGSTOP)
    assert await service.next_price(besides=leader) < LEASE + INTERVAL + SLACK
    await asyncio.sleep(2)
    leader.signal(signal.SIGCONT)


async def restart_the_broker(service: Fleet, server: BrokerServer) -> None:
    server.kill()
    await asyncio.sleep(4)
    server.start()


async def restart_one_by_one(service: Fleet, _: BrokerServer) -> None:
    for each in service.instances:
        await each.end(signal.SIGTERM)
        assert each.process is not None
        assert each.process.returncode == 0
        each.start()
        await service.ready()


TROUBLES = (kill_the_leader, freeze_the_leader, restart_the_broker, restart_one_by_one)


async def test_clients_miss_nothing_unannounced(
    server: BrokerServer, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    store_url = await postgres_server.new_schema()
    chance = random.Random(15)
    transcripts = [Transcript() for _ in range(CLIENTS)]
    async with fleet(server.new_url(), store_url, tmp_path) as service:
        await service.ready()
        reading = [asyncio.create_task(follow(service.ports, each)) for each in transcripts]
        for _ in range(rounds()):
            for trouble in chance.sample(TROUBLES, len(TROUBLES)):
                await trouble(service, server)
                await service.ready()
        await asyncio.sleep(2)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        await asyncio.sleep(1)
        await _compare(transcripts, store_url)
        logs = "".join(each.log.read_text() for each in service.instances)
        assert "Traceback" not in logs


async def _compare(transcripts: Sequence[Transcript], store_url: str) -> None:
    """Every client's transcript equals the store between its first and last id, but for announced gaps."""
    store = await open_store(store_url, capacity=100_000)
    try:
        stored = [tick.id for tick in await store.page(0, None, 100_000)]
    finally:
        await store.close()
    for transcript in transcripts:
        assert transcript.ids == sorted(set(transcript.ids))
        assert transcript.connections > 0
        first, last = transcript.ids[0], transcript.ids[-1]
        missing = [each for each in stored if first <= each <= last and not transcript.covers(each)]
        assert missing == []
        unstored = set(transcript.ids) - set(stored)
        assert all(any(start <= each <= end for start, end in transcript.gaps) for each in unstored)
