"""Answers are compressed where the client accepts it and it pays, and are the same bytes afterwards."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from btc_price_tracker.web.middleware.compression import MIN_SIZE, Compression
from live import Client, Live, a_tick, live

BODY = b'[{"price":69420.25}]' * 20_000  # 400 KB


@asynccontextmanager
async def client_of(server: Live) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Accept-Encoding": "identity"}
    async with httpx2.AsyncClient(
        base_url=server.url, trust_env=False, timeout=30, headers=headers
    ) as client:
        yield client


async def raw(client: httpx2.AsyncClient, path: str, encoding: str) -> tuple[httpx2.Headers, bytes]:
    """An answer's headers and its body as it came."""
    async with client.stream("GET", path, headers={"Accept-Encoding": encoding}) as response:
        return response.headers, b"".join([part async for part in response.aiter_raw()])


@pytest.mark.parametrize(
    "path",
    ["/prices", "/prices?format=csv", "/prices/candles?interval=1m", "/openapi.json", "/metrics", "/sources"],
)
async def test_a_long_answer_is_compressed_for_clients_that_accept_it(path: str) -> None:
    async with live() as server, client_of(server) as client:
        await server.service.store.append([a_tick(1_764_000_000_000 + 60_000 * n) for n in range(300)])
        plain_headers, plain = await raw(client, path, "identity")
        headers, packed = await raw(client, path, "br, gzip")
        assert "content-encoding" not in plain_headers
        assert headers["content-encoding"] == "gzip"
        assert "accept-encoding" in plain_headers["vary"].lower()
        assert "accept-encoding" in headers["vary"].lower()
        assert len(packed) < len(plain) / 2
        if path != "/metrics":  # which differs from one moment to the next
            assert gzip.decompress(packed) == plain


async def test_a_short_answer_and_a_stream_are_not_compressed() -> None:
    async with live() as server, client_of(server) as client:
        await server.publish()
        for path in ("/prices/latest", "/nothing"):
            headers, _ = await raw(client, path, "gzip")
            assert "content-encoding" not in headers
        async with await Client.get(server.port, "/prices/stream", accept_encoding="gzip") as stream:
            await stream.prices(1)
            assert "content-encoding" not in stream.headers


async def answered(
    parts: list[bytes], *, version: str = "1.1", **headers: str
) -> tuple[dict[str, str], list[bytes]]:
    """What a client that accepts gzip gets of an answer in parts."""
    sent: list[Message] = []

    async def app(_: Scope, __: Receive, send: Send) -> None:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        for n, part in enumerate(parts, 1):
            await send({"type": "http.response.body", "body": part, "more_body": n < len(parts)})

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "http_version": version, "headers": [(b"accept-encoding", b"gzip")]}
    await Compression(app)(scope, receive, send)
    head, *body = sent
    return (
        {name.decode(): value.decode() for name, value in head["headers"]},
        [part["body"] for part in body],
    )


async def receive() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def test_an_answer_in_parts_is_compressed_in_parts() -> None:
    parts = [BODY, b"", BODY, b""]
    headers, packed = await answered(parts, content_type="application/json", content_length="800000")
    assert headers["content-encoding"] == "gzip"
    assert "content-length" not in headers
    assert len(packed) == len(parts)
    assert gzip.decompress(b"".join(packed)) == BODY + BODY


@pytest.mark.parametrize(
    ("parts", "headers"),
    [
        ([b"x" * (MIN_SIZE - 1)], {"content_type": "application/json"}),
        ([BODY], {"content_type": "image/png"}),
        ([BODY], {"content_type": "text/event-stream; charset=utf-8"}),
        ([BODY, b""], {"content_type": "text/event-stream"}),
        ([BODY], {"content_type": "text/css", "content_encoding": "br"}),
    ],
)
async def test_what_gains_nothing_is_left_as_it_is(parts: list[bytes], headers: dict[str, str]) -> None:
    sent, body = await answered(parts, content_length="7", **headers)
    assert body == parts
    assert sent == {"content-length": "7"} | {name.replace("_", "-"): headers[name] for name in headers}


async def test_http_1_0_gets_an_answer_as_it_is() -> None:
    headers, body = await answered(
        [BODY, b""], version="1.0", content_type="text/csv", content_length="400000"
    )
    assert headers["content-length"] == "400000"
    assert b"".join(body) == BODY
