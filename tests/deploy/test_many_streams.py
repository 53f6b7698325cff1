"""Hundreds of streams through the proxies that are made for them, and HTTP/2 for browsers."""

import asyncio
import shutil
import ssl
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from deploy.proxies import running
from live import Client, live

STREAMS = 400
PRICES = 20


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_every_stream_gets_every_price(name: str, tmp_path: Path) -> None:
    async with live() as server, running(name, tmp_path, server.port) as proxy:
        first = await server.publish()
        clients: list[Client] = []
        for _ in range(0, STREAMS, 20):
            clients += await asyncio.gather(*(proxy.get("/prices/stream") for _ in range(20)))
        assert all([await client.prices(1) == [first] for client in clients])
        published = [await server.publish() for _ in range(PRICES)]
        assert await asyncio.gather(*(client.prices(PRICES) for client in clients)) == [published] * STREAMS
        assert len(server.hub) == STREAMS
        for client in clients:
            client.close()


@pytest.mark.parametrize("name", ["nginx", "haproxy", "caddy"])
async def test_browsers_get_http_2(name: str, tmp_path: Path) -> None:
    async with live() as server, running(name, tmp_path, server.port) as proxy:
        assert isinstance(proxy.tls, ssl.SSLContext)
        proxy.tls.set_alpn_protocols(["h2", "http/1.1"])
        _, writer = await asyncio.open_connection(
            "127.0.0.1", proxy.port, ssl=proxy.tls, server_hostname="localhost"
        )
        tls = writer.get_extra_info("ssl_object")
        writer.transport.abort()
        assert tls.selected_alpn_protocol() == "h2"


@pytest.mark.parametrize("name", ["nginx", "haproxy", "caddy"])
async def test_events_come_at_once_over_http_2(name: str, tmp_path: Path) -> None:
    curl = shutil.which("curl") or pytest.skip("curl is not installed")
    async with live() as server, running(name, tmp_path, server.port) as proxy:
        await server.publish()
        url = f"https://localhost:{proxy.port}/prices/stream"
        command = [curl, "-sNik", "--http2", "--compressed", url]
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        assert process.stdout is not None
        assert (await process.stdout.readline()).startswith(b"HTTP/2 200")
        for number in range(20):
            price = f"{50_000 + number}.25"
            await server.publish(price)
            async with asyncio.timeout(10):  # it comes before the next one is published
                while price.encode() not in await process.stdout.readline():
                    pass
        process.kill()
        await process.communicate()
