"""The address of a client reaches the server through each proxy, and no client can choose another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.proxies import PROXIES, Proxy, need, running, started
from live import Live, live
from ports import free_port

ONE, OTHER = "127.0.0.2", "127.0.0.3"
FORGED = "192.0.2.1"

TCP = """
defaults
    mode tcp
    timeout connect 2s
    timeout client 75s
    timeout server 75s
frontend clients
    bind 127.0.0.1:{port}
    default_backend tracker
backend tracker
    server tracker 127.0.0.1:{upstream} {option}
"""


@asynccontextmanager
async def limited() -> AsyncIterator[Live]:
    """A server that admits one stream of each address."""
    async with live(max_clients_per_ip=1, trusted_proxies="127.0.0.1") as server:
        await server.publish()
        yield server


async def status(proxy: Proxy, source: str, **headers: str) -> int:
    """Of a stream that is closed at once."""
    async with await proxy.get("/prices/stream", source, **headers) as client:
        return client.status


async def check_clients_are_told_apart(proxy: Proxy) -> None:
    async with await proxy.get("/prices/stream", ONE) as first:
        assert await first.prices(1)
        assert await status(proxy, ONE) == 429
        assert await status(proxy, ONE, X_Forwarded_For=FORGED) == 429
        assert await status(proxy, ONE, Forwarded=f"for={FORGED}") == 429
        forged = {"X_Forwarded_For": ONE, "Forwarded": f"for={ONE}"}
        async with await proxy.get("/prices/stream", OTHER, **forged) as second:
            assert second.status == 200
            assert await second.prices(1)


@pytest.mark.parametrize("name", PROXIES)
async def test_the_proxies_of_deploy_name_the_client(name: str, tmp_path: Path) -> None:
    async with limited() as server, running(name, tmp_path, server.port) as proxy:
        await check_clients_are_told_apart(proxy)


@pytest.mark.parametrize(
    "option", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"]
)
async def test_haproxy_names_the_client_by_the_proxy_protocol(option: str, tmp_path: Path) -> None:
    async with limited() as server:
        port = free_port()
        config = tmp_path / "haproxy.cfg"
        config.write_text(TCP.format(port=port, upstream=server.port, option=option))
        prepared = [need("haproxy"), "-db", "-f", str(config)], None
        async with started("haproxy", prepared, tmp_path, port) as proxy:
            await check_clients_are_told_apart(proxy)


async def test_waiting_requests_through_nginx_have_their_client_too(tmp_path: Path) -> None:
    async with limited() as server, running("nginx", tmp_path, server.port) as proxy:
        first = server.hub.head
        async with await proxy.get("/prices/stream", ONE) as stream:
            assert await stream.prices(1)
            async with await proxy.get(f"/prices/next?after={first}", ONE) as client:
                assert client.status == 429
            waiting = asyncio.create_task(proxy.get(f"/prices/next?after={first}", OTHER))
            while not server.server.server_state.tasks:
                await asyncio.sleep(0.01)
            await server.publish()
            client = await waiting
            assert client.status == 200
            client.close()
