"""The proxies of `deploy/` with an attacker in front: what they hide, overwrite, limit, bound in time and don't log."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from deploy.proxies import PROXIES, Proxy, running
from live import Client, live
from ports import free_port

CANARY = "canary-8d1f"
STRANGER, NEIGHBOUR = "127.0.0.77", "127.0.0.78"
DISGUISES = [
    "/metrics",
    "/metrics?x=1",
    "/metrics/",
    "/%6detrics",
    "/%6Detrics",
    "//metrics",
    "/./metrics",
    "/x/../metrics",
    "/metrics%3f",
    "http://localhost/metrics",
]
# Lower limits, that a slow machine reaches as well: connections of an address, and its requests.
CONNECTIONS = 20
FEW_CONNECTIONS = {
    "nginx": {"limit_conn connections 300": f"limit_conn connections {CONNECTIONS}"},
    "haproxy": {"sc0_conn_cur gt 300": f"sc0_conn_cur gt {CONNECTIONS}"},
}
FEW_REQUESTS = {
    "nginx": {"rate=50r/s": "rate=1r/s", "burst=200": "burst=20"},
    "haproxy": {"sc0_http_req_rate gt 700": "sc0_http_req_rate gt 20"},
}


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """The port of an upstream that answers with the headers it got."""

    async def headers(request: web.Request) -> web.Response:
        return web.json_response([[name.lower(), value] for name, value in request.headers.items()])

    application = web.Application()
    application.router.add_get("/prices/{name:.*}", headers)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("name", PROXIES)
async def test_metrics_are_not_for_the_world(name: str, tmp_path: Path) -> None:
    async with live() as server, running(name, tmp_path, server.port) as proxy:
        async with await Client.get(server.port, "/metrics") as client:
            assert b"btc_build_info" in await client.body()
        for path in DISGUISES:
            async with await proxy.get(path) as client:
                assert b"btc_build_info" not in await client.body(), path
                assert client.status in {301, 308, 400, 404}, path


@pytest.mark.parametrize("name", PROXIES)
async def test_the_address_is_the_clients_own_and_not_what_it_says(name: str, tmp_path: Path) -> None:
    lies = {"X_Forwarded_For": "1.2.3.4, 127.0.0.1", "Forwarded": "for=1.2.3.4", "X_Forwarded_Proto": "ftp"}
    async with echo() as port, running(name, tmp_path, port) as proxy:
        for path in ("latest", "stream", "next?after=1", "hours/2026-11-26T09"):
            async with await proxy.get(f"/prices/{path}", source=STRANGER, **lies) as client:
                headers = json.loads(await client.body())
            assert [value for key, value in headers if key == "x-forwarded-for"] == [STRANGER], path
            assert [value for key, value in headers if key == "forwarded"] == [], path
            assert [value for key, value in headers if key == "host"] == ["localhost"], path
            if name != "varnish":  # which speaks no TLS, and can't know
                assert [value for key, value in headers if key == "x-forwarded-proto"] == ["https"], path


@pytest.mark.parametrize("name", ["nginx", "haproxy", "caddy"])
async def test_browsers_are_told_to_stay_with_https(name: str, tmp_path: Path) -> None:
    async with live() as server, running(name, tmp_path, server.port) as proxy:
        await server.publish()
        for path in ("/prices/latest", "/prices/stream", "/nowhere"):
            async with await proxy.get(path) as client:
                assert client.headers["strict-transport-security"] == "max-age=2592000", path


async def open_many(proxy: Proxy, number: int) -> list[Client]:
    """Streams of one address."""
    return [await proxy.get("/prices/stream", source=STRANGER) for _ in range(number)]


@pytest.mark.parametrize("name", FEW_CONNECTIONS)
async def test_one_address_has_so_many_connections(name: str, tmp_path: Path) -> None:
    async with live() as server, running(name, tmp_path, server.port, FEW_CONNECTIONS[name]) as proxy:
        await server.publish()
        clients = await open_many(proxy, CONNECTIONS)
        if name == "haproxy":  # before TLS
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await proxy.get("/prices/stream", source=STRANGER)
        else:
            async with await proxy.get("/prices/stream", source=STRANGER) as refused:
                assert refused.status == 503
        async with await proxy.get("/prices/stream", source=NEIGHBOUR) as client:
            assert client.status == 200
        for client in clients:
            assert client.status == 200
            client.close()


async def flood(proxy: Proxy, number: int) -> Counter[int]:
    """Statuses of as many requests of one address, as fast as it can."""
    connector = aiohttp.TCPConnector(limit=20, ssl=proxy.tls or False, local_addr=(STRANGER, 0))
    url = f"https://localhost:{proxy.port}/prices/latest"
    async with aiohttp.ClientSession(connector=connector) as session:

        async def status() -> int:
            async with session.get(url, headers={"Host": "localhost"}) as response:
                await response.read()
                return response.status

        return Counter(await asyncio.gather(*(status() for _ in range(number))))


@pytest.mark.parametrize("name", FEW_REQUESTS)
async def test_a_flood_of_requests_gets_429_and_leaves_others_alone(name: str, tmp_path: Path) -> None:
    async with live() as server, running(name, tmp_path, server.port, FEW_REQUESTS[name]) as proxy:
        await server.publish()
        statuses = await flood(proxy, 100)
        assert set(statuses) == {200, 429}
        async with await proxy.get("/prices/latest", source=NEIGHBOUR) as client:
            assert client.status == 200
        async with await proxy.get("/prices/stream", source=STRANGER) as client:
            assert client.status == 200  # an EventSource would never retry after a 429


SLOW = {
    "nginx": {"client_header_timeout 10s": "client_header_timeout 1s"},
    "haproxy": {"timeout http-request 10s": "timeout http-request 1s"},
    "caddy": {"read_header 10s": "read_header 1s"},
    "varnish": {},  # 2 s by itself
}


@pytest.mark.parametrize("name", PROXIES)
async def test_a_head_that_never_ends_is_not_waited_for(name: str, tmp_path: Path) -> None:
    async with live() as server, running(name, tmp_path, server.port, SLOW[name]) as proxy:
        reader, writer = await proxy.connect(STRANGER)
        started = time.monotonic()

        async def trickle() -> None:
            writer.write(b"GET /prices/latest HTTP/1.1\r\nHost: localhost\r\n")
            while True:
                writer.write(b"X")
                await asyncio.sleep(0.2)

        trickling = asyncio.create_task(trickle())
        async with asyncio.timeout(30):
            with contextlib.suppress(OSError):
                while await reader.read(65536):
                    pass
        trickling.cancel()
        writer.transport.abort()
        assert time.monotonic() - started > 0.5


@pytest.mark.parametrize("name", PROXIES)
async def test_no_token_reaches_the_log(name: str, tmp_path: Path) -> None:
    async def status(path: str) -> int:
        secret = f"{path}?access_token={CANARY}&after=1"
        async with await proxy.get(secret, Authorization=f"Bearer {CANARY}") as client:
            return client.status

    async with running(name, tmp_path, free_port()) as proxy:
        paths = ("/prices/latest", "/prices/stream", "/prices/next")
        assert set(await asyncio.gather(*map(status, paths))) <= {502, 503}
    assert CANARY not in proxy.log.read_text()
