"""The stream through each proxy of `deploy/`, as through none: at once, one by one, resumed, ended and drained."""

import asyncio
import contextlib
import gzip
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.proxies import PROXIES, Proxy, running
from live import Client, Event, Live, live

PROMPT = 0.5  # seconds; a quiet machine takes a few milliseconds, and a buffer holds an event back until it is full


@pytest.fixture
async def server() -> AsyncIterator[Live]:
    async with live(heartbeat=1) as server:
        await server.publish()
        yield server


@pytest.fixture(params=PROXIES)
async def proxy(request: pytest.FixtureRequest, server: Live, tmp_path: Path) -> AsyncIterator[Proxy]:
    async with running(request.param, tmp_path, server.port) as proxy:
        yield proxy


async def until_streams(server: Live, number: int) -> None:
    async with asyncio.timeout(60):
        while len(server.hub) != number:
            await asyncio.sleep(0.01)


async def rest(client: Client) -> list[Event]:
    """The events until the end of the stream."""
    events = []
    with contextlib.suppress(EOFError):
        while True:
            events.append(await client.event())
    return events


async def test_events_come_at_once_and_one_by_one(server: Live, proxy: Proxy) -> None:
    started = time.perf_counter()
    async with await proxy.get("/prices/stream", Accept_Encoding="gzip, br") as client:
        assert "content-encoding" not in client.headers
        await client.prices(1)
        first = time.perf_counter() - started
        waits = []
        for _ in range(20):
            started = time.perf_counter()
            published = await server.publish()
            assert await client.prices(1) == [published]
            waits.append(time.perf_counter() - started)
    assert first < 2 * PROMPT  # Varnish and TLS have more to do at first
    assert max(waits) < PROMPT, f"{proxy.name}: first {first:.4f} s, then {waits}"


async def test_a_stream_resumes(server: Live, proxy: Proxy) -> None:
    async with await proxy.get("/prices/stream") as client:
        last = (await client.prices(1))[0]
    missed = [await server.publish() for _ in range(50)]
    async with await proxy.get("/prices/stream", last_event_id=str(last)) as client:
        assert await client.prices(50) == missed
    async with await proxy.get(f"/prices/stream?last_event_id={last}") as client:
        assert await client.prices(50) == missed


async def test_a_disconnect_reaches_the_server(server: Live, proxy: Proxy) -> None:
    async with await proxy.get("/prices/stream") as client:
        await client.prices(1)
        await until_streams(server, 1)
    await until_streams(server, 0)  # Varnish notices at a heartbeat


async def test_a_drain_ends_streams_with_their_own_wait(server: Live, proxy: Proxy) -> None:
    async with await proxy.get("/prices/stream") as client:
        await client.prices(1)
        await server.hub.drain(0)
        assert [event.retry for event in await rest(client) if event.retry]
        assert client.ended


async def test_other_answers_are_compressed(server: Live, proxy: Proxy) -> None:
    for _ in range(200):
        await server.publish()
    async with await proxy.get("/prices?limit=200", Accept_Encoding="gzip") as client:
        assert client.headers["content-encoding"] == "gzip"
        assert b"69420.25" in gzip.decompress(await client.body())
