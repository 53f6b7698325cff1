"""`/prices/next` through the proxies that cache: one request upstream, however many clients wait."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from deploy.proxies import Proxy, running
from deploy.upstream import NextPrice, next_price
from live import live

CLIENTS = 500
SETTLING = 2.0  # seconds in which the requests of all clients are with the proxy, or fail to be counted


@pytest.fixture
async def upstream() -> AsyncIterator[NextPrice]:
    async with next_price() as upstream:
        yield upstream


@pytest.fixture(params=["nginx", "varnish"])
async def proxy(request: pytest.FixtureRequest, upstream: NextPrice, tmp_path: Path) -> AsyncIterator[Proxy]:
    async with running(request.param, tmp_path, upstream.port) as proxy:
        yield proxy


async def ask(proxy: Proxy, after: int, **headers: str) -> tuple[int, bytes]:
    """Status and body."""
    async with await proxy.get(f"/prices/next?after={after}", **headers) as client:
        return client.status, b"" if client.status == 204 else await client.body()


async def ask_together(
    proxy: Proxy, upstream: NextPrice, number: int, **headers: str
) -> list[tuple[int, bytes]]:
    """Many at once, all of whom wait before there is an answer."""
    asking = [asyncio.create_task(ask(proxy, 7, **headers)) for _ in range(number)]
    await asyncio.sleep(SETTLING)
    assert not any(task.done() for task in asking)
    upstream.released.set()
    async with asyncio.timeout(60):
        return await asyncio.gather(*asking)


async def test_one_request_goes_upstream_for_500_clients(proxy: Proxy, upstream: NextPrice) -> None:
    answers = await ask_together(proxy, upstream, CLIENTS)
    assert {status for status, _ in answers} == {200}
    assert {msgspec.json.decode(body)["id"] for _, body in answers} == {8}
    assert upstream.requests == {"7": 1}
    await ask(proxy, 7)
    assert upstream.requests == {"7": 1}
    await ask(proxy, 8)
    assert upstream.requests == {"7": 1, "8": 1}


async def test_no_price_in_time_is_shared_but_not_kept(proxy: Proxy, upstream: NextPrice) -> None:
    upstream.status, upstream.cache_control = 204, "no-store"
    answers = await ask_together(proxy, upstream, 50)
    assert {status for status, _ in answers} == {204}
    assert upstream.requests["7"] <= 2
    upstream.status, upstream.cache_control = 200, "public, max-age=31536000, immutable"
    async with asyncio.timeout(30):
        while (await ask(proxy, 7))[0] == 204:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("cache_control", ["private, max-age=31536000, immutable", "no-store"])
async def test_private_answers_are_not_shared(proxy: Proxy, upstream: NextPrice, cache_control: str) -> None:
    upstream.cache_control = cache_control
    upstream.released.set()
    for _ in range(3):
        assert (await ask(proxy, 7))[0] == 200
    assert upstream.requests["7"] == 3


async def test_callers_with_a_token_are_answered_apart(proxy: Proxy, upstream: NextPrice) -> None:
    await ask_together(proxy, upstream, 3, Authorization="Bearer secret")
    assert upstream.requests["7"] == 3


@pytest.mark.parametrize("name", ["nginx", "varnish"])
async def test_the_next_price_of_a_real_server_reaches_all_who_wait(name: str, tmp_path: Path) -> None:
    async with live() as server, running(name, tmp_path, server.port) as proxy:
        last = await server.publish()
        asking = [asyncio.create_task(ask(proxy, last)) for _ in range(50)]
        await asyncio.sleep(SETTLING)
        assert not any(task.done() for task in asking)
        published = await server.publish()
        answers = await asyncio.gather(*asking)
        assert {(status, msgspec.json.decode(body)["id"]) for status, body in answers} == {(200, published)}
        for _ in range(2):  # neither has a Cache-Control that would let it be kept
            assert await ask_latest(proxy) == published
            published = await server.publish()


async def ask_latest(proxy: Proxy) -> int:
    async with await proxy.get("/prices/latest") as client:
        return int(msgspec.json.decode(await client.body())["id"])
