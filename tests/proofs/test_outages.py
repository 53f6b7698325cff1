"""The store fails under a running service, in every way that stores do: prices go on, and all come into it."""

import asyncio
import os
import re
import resource
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import asyncpg
import httpx2
import pytest
from structlog.testing import capture_logs

from btc_price_tracker.playback import Playback, Script
from btc_price_tracker.price.model import Quote
from btc_price_tracker.store import open_store
from btc_price_tracker.store.paging import pages
from btc_price_tracker.store.sqlite import SqliteStore
from btc_price_tracker.testing import ManualClock, eventually
from databases.postgres import PostgresServer
from live import Client, Live, a_tick, live

HOUR = 3600
A_DAY = 24  # prices, one an hour: what may wait


@dataclass(frozen=True, slots=True)
class Place:
    """A service and its store."""

    service: Live
    url: str
    postgres: PostgresServer | None = None

    @property
    def path(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))

    @property
    def database(self) -> str:
        return self.url.rpartition("/")[2].partition("?")[0]


@asynccontextmanager
async def full_disk(place: Place) -> AsyncIterator[None]:
    filler = place.path.with_name("filler")
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                pass
    yield
    filler.unlink()


@asynccontextmanager
async def exhausted_quota(place: Place) -> AsyncIterator[None]:
    """No file may grow beyond what the log has now."""
    log = place.path.with_name(place.path.name + "-wal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@asynccontextmanager
async def read_only(place: Place) -> AsyncIterator[None]:
    """The answer that SQLite gives on a read-only file system."""
    store = place.service.service.store
    assert isinstance(store, SqliteStore)
    writer = store._writer
    await writer.run(lambda connection: connection.execute("PRAGMA query_only = ON"))
    yield
    await writer.run(lambda connection: connection.execute("PRAGMA query_only = OFF"))


@asynccontextmanager
async def locked_file(place: Place) -> AsyncIterator[None]:
    with closing(sqlite3.connect(place.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@asynccontextmanager
async def stopped_server(place: Place) -> AsyncIterator[None]:
    assert place.postgres is not None
    async with stopped(place.postgres):
        yield


@asynccontextmanager
async def stopped(postgres: PostgresServer) -> AsyncIterator[None]:
    """Stopped now, and running again at the end whatever happens."""
    await asyncio.to_thread(postgres.stop)
    try:
        yield
    finally:
        if postgres._process is None:
            await asyncio.to_thread(postgres.start)


@asynccontextmanager
async def crashed_server(place: Place) -> AsyncIterator[None]:
    """Without a word to its clients or to its disk."""
    assert place.postgres is not None
    assert place.postgres._process is not None
    place.postgres._process.send_signal(signal.SIGQUIT)
    async with stopped_server(place):
        yield


@asynccontextmanager
async def locked_table(place: Place) -> AsyncIterator[None]:
    """Every query on it waits."""
    other = await asyncpg.connect(place.url)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE ticks IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await other.close()


Outage = Callable[[Place], AbstractAsyncContextManager[None]]

OUTAGES: list[tuple[str, Outage, str]] = [
    ("tmpfs", full_disk, "the disk is full"),
    ("sqlite", exhausted_quota, "disk I/O error; check the disk's free space, quota"),
    ("sqlite", read_only, "the file is read-only; grant this user write access"),
    ("sqlite", locked_file, "no response within"),
    ("postgresql", stopped_server, "postgresql: "),
    ("postgresql", crashed_server, "postgresql: "),
    ("postgresql", locked_table, "no response within"),
]


@pytest.fixture
def tmpfs(tmp_path: Path) -> AsyncIterator[str]:  # type: ignore[misc] # a generator; its value is the URL
    """A small disk of one's own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("only root may mount a disk that is small enough to fill")
    yield f"sqlite:///{folder}/prices.db"
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
async def place(
    kind: str,
    request: pytest.FixtureRequest,
    new_store_url: Callable[[str], Awaitable[str]],
) -> AsyncIterator[Place]:
    url = request.getfixturevalue("tmpfs") if kind == "tmpfs" else await new_store_url(kind)
    postgres = request.getfixturevalue("postgres_server") if kind == "postgresql" else None
    hangs = request.node.callspec.params.get("outage") in (locked_file, locked_table)
    write_timeout = 5 if hangs else 60
    async with live(ManualClock(), write_timeout=write_timeout, store_url=url, interval=HOUR) as service:
        yield Place(service, url, postgres)


async def readiness(service: Live) -> tuple[int, str]:
    """The status of /readyz, and its reasons."""
    async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=30) as client:
        answer = await client.get(f"{service.url}/readyz")
        return answer.status_code, " ".join(answer.json()["reasons"])


async def metrics(service: Live) -> tuple[float, float, float]:
    """What /metrics says of the store: whether it is up, what waits for it, what is lost."""
    async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=30) as client:
        text = (await client.get(f"{service.url}/metrics")).text
    up, waiting, lost = re.findall(r"^btc_store_(?:up|queued|dropped_total) (.+)$", text, re.MULTILINE)
    return float(up), float(waiting), float(lost)


async def recovery(service: Live) -> None:
    """Until the store has what waited."""
    while service.service.outbox.fault is not None:
        await retries(service, 1)


async def retries(service: Live, times: int = 3) -> None:
    """The clock is ours, so the seconds between two attempts pass at once."""
    assert isinstance(service.clock, ManualClock)
    for _ in range(times):
        await service.clock.advance(1)
        await asyncio.sleep(0.01)


async def stored(place: Place) -> list[int]:
    store = place.service.service.store
    return [tick.id async for page in pages(store, 0) for tick in page]


@pytest.mark.parametrize(("kind", "outage", "reason"), OUTAGES, ids=[each[1].__name__ for each in OUTAGES])
async def test_outage_delays_writes_and_loses_none(place: Place, outage: Outage, reason: str) -> None:
    service = place.service
    before = [await service.publish() for _ in range(3)]
    async with await Client.get(service.port, f"/prices/stream?last_event_id={before[0] - 1}") as client:
        with capture_logs() as logs:
            async with outage(place):
                during = [await service.publish() for _ in range(9)]
                assert await client.prices(12) == before + during
                status, words = await readiness(service)
                assert status == 503
                assert re.search(f"the store fails, 9 prices wait for it: .*{reason}", words)
                assert await metrics(service) == (0, 9, 0)
                await retries(service)  # in vain, and without another word in the log
            await recovery(service)
        after = [await service.publish() for _ in range(2)]
        assert await client.prices(2) == after
    assert await stored(place) == before + during + after
    assert await readiness(service) == (200, "")
    assert await metrics(service) == (1, 0, 0)
    told = [entry for entry in logs if entry["log_level"] != "debug"]
    logged = [(entry["log_level"], entry["event"]) for entry in told if "store" in entry["event"]]
    assert logged == [("error", "store failed"), ("info", "store recovered")]


@pytest.mark.parametrize(
    ("kind", "outage"), [("sqlite", read_only), ("postgresql", stopped_server)], ids=["sqlite", "postgresql"]
)
async def test_outbox_overflow_drops_the_oldest_and_counts_them(place: Place, outage: Outage) -> None:
    service = place.service
    before = [await service.publish()]
    with capture_logs() as logs:
        async with outage(place):
            during = [await service.publish() for _ in range(A_DAY + 6)]
            assert f"{A_DAY} prices wait for it and 6 are lost" in (await readiness(service))[1]
            assert await metrics(service) == (0, A_DAY, 6)
        await recovery(service)
    assert await stored(place) == before + during[6:]
    assert [entry["lost"] for entry in logs if entry["event"] == "store recovered"] == [6]


async def test_shutdown_flushes_the_outbox_to_a_recovered_store(
    new_store_url: Callable[[str], Awaitable[str]],
) -> None:
    url = await new_store_url("sqlite")
    async with live(ManualClock(), store_url=url, interval=HOUR) as service, read_only(Place(service, url)):
        ids = [await service.publish() for _ in range(3)]
    store = await open_store(url, capacity=1)
    assert [tick.id for tick in await store.newest(10)] == ids
    await store.close()


@pytest.mark.parametrize("detach", [True, False], ids=["detached", "kept"])
async def test_replay_across_lost_prices_has_a_gap_event(
    detach: bool,  # noqa: FBT001 - a parameter of the test
    new_store_url: Callable[[str], Awaitable[str]],
) -> None:
    url = await new_store_url("sqlite")
    async with live(ManualClock(), detach=detach, store_url=url, interval=HOUR, store_size=4) as service:
        before = [await service.publish() for _ in range(3)]
        async with read_only(Place(service, url)):
            during = [await service.publish() for _ in range(A_DAY + 6)]
        await recovery(service)
        after = [await service.publish() for _ in range(5)]
        for start in (before[0], during[2]):
            async with await Client.get(service.port, "/prices/stream", last_event_id=str(start)) as client:
                wanted = [tick_id for tick_id in before + during[6:] + after if tick_id > start]
                assert await client.prices(len(wanted)) == wanted
                assert client.raw.count(b"event: gap") == 1
                lost = f'data: {{"from":{during[0]},"to":{during[5]}}}'.encode()
                assert client.raw.index(lost) < client.raw.index(b"id: %d\n" % during[6])


@pytest.mark.parametrize("kind", ["postgresql"])
async def test_cut_connections_are_replaced_without_loss(place: Place) -> None:
    assert place.postgres is not None
    ids = [await place.service.publish()]
    for _ in range(3):
        await place.postgres.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{place.database}'"
        )
        ids.append(await place.service.publish())
        await recovery(place.service)
    assert await stored(place) == ids


async def test_store_down_at_start_serves_history_once_up(
    postgres_server: PostgresServer,
) -> None:
    clock = ManualClock()
    url = postgres_server.url(await postgres_server.new_database())
    store = await open_store(url, capacity=1)
    earlier = [clock.now() - 3000, clock.now() - 2000]
    await store.append([a_tick(tick_id) for tick_id in earlier])
    await store.close()
    async with stopped(postgres_server), live(clock, store_url=url, interval=HOUR) as service:
        clock.step(1)
        async with await Client.get(service.port, "/prices/stream") as client:
            ids = [await service.publish() for _ in range(3)]
            assert await client.prices(3) == ids
            assert b"gap" not in client.raw
        async with await Client.get(service.port, f"/prices/stream?since={ids[0] // 1000}") as client:
            assert await client.prices(3) == ids
            assert (await readiness(service))[0] == 503
            await asyncio.to_thread(postgres_server.start)
            await recovery(service)
            ids.append(await service.publish())
            assert await client.prices(1) == ids[3:]
        async with await Client.get(service.port, f"/prices/stream?since={earlier[0] // 1000}") as client:
            assert await client.prices(6) == earlier + ids
        assert await stored(Place(service, url)) == earlier + ids
        assert await readiness(service) == (200, "")


@pytest.mark.parametrize("policy", ["consensus", "fallback"])
async def test_without_a_store_new_streams_get_the_price_despite_clock_steps(policy: str) -> None:
    nowhere = "postgresql://127.0.0.1:1/prices"
    clock = ManualClock()
    async with Playback(Script({"kraken": Quote(Decimal(90_000))}), clock) as exchange:
        kraken = exchange.urls()["kraken_url"]
        async with live(
            clock, store_url=nowhere, policy=policy, sources=("kraken",), kraken_url=kraken
        ) as service:
            clock.step(-HOUR)
            asking = asyncio.create_task(service.service.lead())
            await eventually(lambda: service.hub.latest)
            async with await Client.get(service.port, "/prices/stream") as client:
                assert len(await client.prices(1)) == 1
                assert b"event: gap" not in client.raw
            asking.cancel()
