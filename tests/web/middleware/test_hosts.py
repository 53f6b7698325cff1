"""ALLOWED_HOSTS: a page of another site whose name leads here (DNS rebinding) gets nothing."""

import asyncio
import json

import pytest

from live import Client, Live, live

ALLOWED = "prices.example, *.home.example, [::1], 10.0.0.1"
PATHS = ("/", "/prices/latest", "/prices/stream", "/nothing", "/openapi.json", "/metrics")


async def status(server: Live, path: str, head: str) -> tuple[int, dict[str, str], bytes]:
    """The response to a request whose head has these lines."""
    client = Client(*await asyncio.open_connection("127.0.0.1", server.port))
    async with client:
        client.writer.write(f"GET {path} {head}\r\n\r\n".encode())
        await client.head()
        body = await client.body() if client.status != 200 else b""
        return client.status, client.headers, body


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("prices.example", True),
        ("PRICES.Example:8082", True),
        ("prices.example.", True),
        ("prices.example.:80", True),
        ("nas.home.example", True),
        ("a.b.home.example:1", True),
        ("[::1]:8082", True),
        ("[0:0::1]", True),
        ("10.0.0.1", True),
        ("home.example", False),
        ("evilhome.example", False),
        ("prices.example.evil.example", False),
        ("evil.example", False),
        ("10.0.0.10", False),
        ("127.0.0.1", False),
        ("localhost", False),
        ("[::2]", False),
        ("", False),
        ("*.home.example", True),
    ],
)
async def test_host_decides(host: str, allowed: bool) -> None:  # noqa: FBT001 - a table
    async with live(allowed_hosts=ALLOWED) as server:
        await server.publish()
        got, _, _ = await status(server, "/prices/latest", f"HTTP/1.1\r\nHost: {host}")
        assert got == (200 if allowed else 421)


async def test_refusal_is_a_problem_that_names_the_remedy() -> None:
    async with live(allowed_hosts=ALLOWED) as server:
        for path in PATHS:
            code, headers, body = await status(server, path, "HTTP/1.1\r\nHost: evil.example\r\nOrigin: null")
            assert code == 421
            assert headers["content-type"] == "application/problem+json"
            assert headers["x-request-id"]
            problem = json.loads(body)
            assert problem["title"] == "Misdirected Request"
            assert "'evil.example'" in problem["detail"]
            assert "ALLOWED_HOSTS" in problem["detail"]
        assert not len(server.hub)


async def test_http_1_0_without_host_is_refused() -> None:
    async with live(allowed_hosts=ALLOWED) as server:
        assert (await status(server, "/prices/latest", "HTTP/1.0"))[0] == 421


async def test_probes_are_answered_by_any_name() -> None:
    async with live(allowed_hosts=ALLOWED) as server:
        assert (await status(server, "/healthz", "HTTP/1.1\r\nHost: 10.1.2.3:8082"))[0] == 200
        assert (await status(server, "/readyz", "HTTP/1.1\r\nHost: 10.1.2.3:8082"))[0] in (200, 503)


async def test_every_host_is_allowed_by_default() -> None:
    async with live() as server:
        await server.publish()
        assert (await status(server, "/prices/latest", "HTTP/1.1\r\nHost: evil.example"))[0] == 200
        assert (await status(server, "/prices/latest", "HTTP/1.0"))[0] == 200
