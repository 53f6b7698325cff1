"""SIGTERM ends every stream cleanly and in time, a second signal at once, and SIGKILL loses nothing."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from btc_price_tracker.testing import eventually
from proofs.process import Service, command, service
from proofs.reader import Reader, request

STREAMS = 2000


@asynccontextmanager
async def streams(port: int, number: int) -> AsyncIterator[list[Reader]]:
    """So many open streams, each of which has had its first price."""
    readers = [await Reader.open(port) for _ in range(number)]
    await eventually(lambda: all(reader.ids for reader in readers), seconds=90)
    yield readers
    for reader in readers:
        reader.close()


def client_of(port: int) -> httpx2.AsyncClient:
    """One whose connection is there before the signal: the end of the streams takes two seconds only."""
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False, timeout=30)


async def why_not_ready(client: httpx2.AsyncClient) -> list[str]:
    response = await client.get("/readyz")
    reasons: list[str] = response.json()["reasons"]
    assert (response.status_code == 200) == (not reasons)
    return reasons


async def test_sigterm_ends_every_stream_with_its_own_retry() -> None:
    async with (
        command("demo") as (process, port),
        streams(port, STREAMS) as readers,
        client_of(port) as client,
    ):
        assert await why_not_ready(client) == []
        process.send_signal(signal.SIGTERM)
        while not (reasons := await why_not_ready(client)):
            pass
        assert reasons == ["shutting down"]
        assert sum(reader.ended for reader in readers) < STREAMS  # ready no more before the last stream ends
        newcomer = await Reader.open(port)
        await eventually(lambda: newcomer.status)
        assert newcomer.status == 503
        newcomer.close()
        assert await asyncio.wait_for(process.wait(), 60) == 0
        await asyncio.gather(*(asyncio.wait_for(reader.gone.wait(), 30) for reader in readers))
        assert all(reader.ended for reader in readers)
        waits = [reader.retries[-1] for reader in readers if len(reader.retries) == 2]
        assert len(waits) == STREAMS
        assert len(set(waits)) > STREAMS / 4
        for second in range(1000, 5000, 1000):  # each gets its share of the returns
            assert sum(second <= wait <= second + 1000 for wait in waits) > STREAMS / 8


async def test_second_signal_exits_at_once() -> None:
    loop = asyncio.get_running_loop()
    async with command("demo") as (process, port), streams(port, STREAMS), client_of(port) as client:
        assert await why_not_ready(client) == []
        process.send_signal(signal.SIGTERM)
        while not await why_not_ready(client):
            pass
        asked = loop.time()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 128 + signal.SIGTERM
        assert loop.time() - asked < 4  # seconds: less than a store has at the end to take what waits


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
async def test_without_streams_sigint_and_sighup_exit_at_once(number: signal.Signals) -> None:
    async with command("demo") as (process, _):
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_sighup_stays_ignored_under_nohup() -> None:
    async with command("demo", under="nohup") as (process, port), client_of(port) as client:
        process.send_signal(signal.SIGHUP)
        assert await why_not_ready(client) == []
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0


LIVES = 3
CLIENTS = 50


async def follow_until_killed(server: Service, seen: list[list[int]]) -> list[Reader]:
    """Everyone resumes after what they have seen, hears more, and then the server is killed."""
    readers = []
    for ids in seen:
        last = ids[-1] if ids else None
        readers.append(await Reader.open(server.port, request("/prices/stream?since=0", last_event_id=last)))
    await eventually(lambda: all(len(reader.ids) > 20 for reader in readers), seconds=60)
    await server.kill()
    for reader in readers:
        await asyncio.wait_for(reader.gone.wait(), 30)
    return readers


@pytest.mark.parametrize("detach", [True, False], ids=["detached", "fallback"])
async def test_after_kill_9_ids_increase_and_nothing_is_lost(detach: bool, tmp_path: Path) -> None:  # noqa: FBT001
    store = f"sqlite:///{tmp_path}/prices.db"
    seen: list[list[int]] = [[] for _ in range(CLIENTS)]
    for _ in range(LIVES):
        async with service(detach=detach, endless=0.005, store_size=100, store_url=store) as server:
            for ids, reader in zip(seen, await follow_until_killed(server, seen), strict=True):
                assert not reader.gaps
                ids.extend(reader.ids)
    async with service(store_url=store) as server:
        everything = await Reader.open(server.port, request("/prices/stream?since=0"))
        newest = max(ids[-1] for ids in seen)
        await eventually(lambda: everything.ids and everything.ids[-1] >= newest, seconds=60)
        everything.close()
    assert everything.ids == sorted(set(everything.ids))
    for ids in seen:
        assert ids == everything.ids[: len(ids)]
