"""Three instances on a real broker and a real database: whatever happens to them, clients miss nothing unannounced."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from broker import kafka_server, nats_server, proxy, valkey
from broker.proxy import Proxy
from broker.service import BrokerServer
from btc_price_tracker.broker.held import held
from btc_price_tracker.broker.opening import open_broker
from btc_price_tracker.broker.options import History, Options
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.settings.open_files import raise_file_limit
from btc_price_tracker.store import open_store
from databases.postgres import PostgresServer
from proofs import balancers
from proofs.followers import Transcript, follow
from proofs.instances import clients, fleet, rounds
from proofs.observer import Observer
from proofs.trouble import Trouble

SERVERS: dict[str, Callable[[], AbstractContextManager[BrokerServer]]] = {
    "redis": valkey.running,
    "nats": nats_server.running,
    "kafka": kafka_server.running,
}
INSTANCES = 3


@pytest.fixture(params=os.environ.get("BROKERS", "redis").split(","))
def server(request: pytest.FixtureRequest) -> Iterator[BrokerServer]:
    with SERVERS[request.param]() as server:
        yield server


@pytest.mark.timeout(300 + 120 * rounds())
async def test_clients_miss_nothing_unannounced(
    server: BrokerServer, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    raise_file_limit()
    store_url, broker_url = await postgres_server.new_schema(), server.new_url()
    seed = int(os.environ.get("SEED", "15"))
    transcripts = [Transcript() for _ in range(clients())]
    observer = Observer(broker_url)
    async with AsyncExitStack() as stack:
        ways = await stack.enter_async_context(_ways(broker_url))
        urls = [url for url, _ in ways] or [broker_url] * INSTANCES
        service = await stack.enter_async_context(fleet(urls, store_url, tmp_path))
        doors = [service.ports, *stack.enter_context(_balancers(service.ports, tmp_path))]
        await service.ready()
        reading = [asyncio.create_task(observer.watch())]
        for number, each in enumerate(transcripts):
            reading.append(asyncio.create_task(follow(doors[number % len(doors)], each)))
        trouble = Trouble(service, server, [way for _, way in ways])
        for _ in range(rounds()):
            await trouble.make_all(random.Random(seed))
            seed += 1
            await _check(transcripts, observer, server, store_url, broker_url)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        logs = "".join(each.log.read_text() for each in service.instances)
        assert "Traceback" not in logs


async def _check(
    transcripts: Sequence[Transcript],
    observer: Observer,
    server: BrokerServer,
    store_url: str,
    broker_url: str,
) -> None:
    """Once a leader publishes again, compare what clients have received and the broker has carried with the store."""
    now = SystemClock().now()
    async with asyncio.timeout(60):
        while observer.ids[-1] <= now:
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    received = [each.copy() for each in transcripts]
    observer.check()
    published = list(observer.ids)
    await asyncio.sleep(1)
    stored = await _stored(store_url)
    _compare_with_broker(stored, published, lost=rounds() if server_forgets(server) else 0)
    if not server_forgets(server):
        held_then = set(await _held(broker_url, published[-1]))
        assert {each for each in stored if each <= published[-1]} - held_then == set()
    _compare_with_clients(stored, received)


def server_forgets(server: BrokerServer) -> bool:
    """Whether it keeps everything in memory only."""
    return isinstance(server, valkey.ValkeyServer)


@asynccontextmanager
async def _ways(broker_url: str) -> AsyncIterator[list[tuple[str, Proxy]]]:
    """For each instance a proxy and its URL; none for Kafka, which tells its clients where it is."""
    scheme, _, rest = broker_url.partition("://")
    host, _, name = rest.partition("/")
    async with AsyncExitStack() as stack:
        ways = []
        for _ in range(INSTANCES if scheme != "kafka" else 0):
            way = await stack.enter_async_context(proxy.running(int(host.rpartition(":")[2])))
            ways.append((f"{scheme}://127.0.0.1:{way.port}/{name}", way))
        yield ways


@contextmanager
def _balancers(ports: Sequence[int], folder: Path) -> Iterator[list[list[int]]]:
    """The ports of the load balancers that are installed."""
    with balancers.nginx(ports, folder) as nginx, balancers.haproxy(ports, folder) as haproxy:
        yield [[port] for port in (nginx, haproxy) if port is not None]


async def _held(broker_url: str, until: int) -> list[int]:
    broker = open_broker(broker_url, Options("afterwards", History(100_000, 86_400)))
    try:
        return [tick.id async for tick in held(broker, after=0, until=until)]
    finally:
        await broker.aclose()


async def _stored(store_url: str) -> list[int]:
    store = await open_store(store_url, capacity=100_000)
    try:
        return [tick.id for tick in await store.page(0, None, 100_000)]
    finally:
        await store.close()


def _compare_with_broker(stored: Sequence[int], published: Sequence[int], lost: int) -> None:
    """While it was watched: what was published is stored, nothing else is; a broker may have `lost` some."""
    assert set(published) - set(stored) == set()
    unseen = set(stored) - set(published)
    assert len([each for each in unseen if published[0] <= each <= published[-1]]) <= lost


def _compare_with_clients(stored: Sequence[int], transcripts: Sequence[Transcript]) -> None:
    """Every client's transcript equals the store between its first and last id, but for announced gaps."""
    in_store = set(stored)
    for transcript in transcripts:
        received = set(transcript.ids)
        assert transcript.ids == sorted(received)
        assert transcript.connections > 0
        first, last = transcript.ids[0], transcript.ids[-1]
        missing = [each for each in stored if first <= each <= last and each not in received]
        missed = [each for each in missing if not transcript.announced(each)]
        assert missed == [], _around(transcript, missed[0])
        unstored = [each for each in received - in_store if not transcript.announced(each)]
        assert unstored == [], _around(transcript, min(unstored))


def _around(transcript: Transcript, tick_id: int) -> str:
    """What a client received, and where, about the time of a price."""
    nearest = sorted(sorted(transcript.ids, key=lambda each: abs(each - tick_id))[:20])
    gaps = [gap for gap in transcript.gaps if gap[1] > nearest[0]]
    return f"{tick_id} of {nearest}, gaps {gaps}, connections {transcript.history[-12:]}"
