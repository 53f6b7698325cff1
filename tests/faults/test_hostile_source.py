"""A source that attacks: what it can make us read, keep, send or wait for is bounded."""

import asyncio
import gzip
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random

import pytest

from btc_price_tracker.clock import SystemClock
from btc_price_tracker.errors import InvalidQuote, SourceError
from btc_price_tracker.http_client.client import Client
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.connect import connect
from btc_price_tracker.sources.endpoint import Endpoint, open_client
from btc_price_tracker.sources.parsing import MAX_BYTES
from btc_price_tracker.sources.upstream import Upstream
from faults.hostile_server import hostile

TICKER = b'{"error":[],"result":{"XXBTZUSD":{"a":["90001"],"b":["90000"],"c":["90000.01"]}}}'
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"
TOO_LARGE = f"the response is larger than {MAX_BYTES} bytes"
MIB = 1 << 20
STALL = 0.5  # seconds of CPU: a small multiple of what the worst takes while coverage is measured


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with open_client() as client:
        yield client


def whole(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    head = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join([*head, b"", body])


def upstream_at(url: str, client: Client) -> Upstream:
    return connect(replace(SOURCES["kraken"], url=url), client, SystemClock(), Random(1))


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (OK + b"\r\n", b" "),
        (OK + b"Content-Length: 99999999999999\r\n\r\n", b" "),
        (CHUNKED + b"5;name=", b"x"),  # a chunk extension
        (CHUNKED, b"0"),  # the size of a chunk
        (CHUNKED, b"1\r\n \r\n"),
        (CHUNKED, b"1;" + b"x" * 1000 + b"\r\n \r\n"),
        (CHUNKED + b"0\r\n", b"a: " + b"b" * 60_000 + b"\r\n"),  # trailers
    ],
)
async def test_an_endless_body_is_aborted(client: Client, start: bytes, piece: bytes) -> None:
    async with hostile(start, piece) as server:
        tracemalloc.start()
        with pytest.raises(InvalidQuote, match=TOO_LARGE):
            await Endpoint(client, server.url).get()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 * MIB
    assert server.sent < 64 * MIB  # most of it lies in the buffers of the sockets


async def test_too_large_error_body_keeps_status_and_pause(client: Client) -> None:
    head = b"HTTP/1.1 429 No\r\nRetry-After: 119\r\n\r\n"
    async with hostile(head, b" ") as server:
        upstream = upstream_at(server.url, client)
        await upstream.refresh(5)
    assert upstream.answer().fault == "HTTP 429: too many requests"
    assert 110 < upstream.state().next_try <= 131


def gzipped(data: bytes) -> bytes:
    """The same bytes each time: they name tests, which every worker must call the same."""
    return gzip.compress(data, mtime=0)


BOMB = gzipped(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", BOMB),
        (b"gzip, gzip", gzipped(gzipped(TICKER))),
        (b"gzip", gzipped(gzipped(TICKER))),
        (b"gzip", gzipped(TICKER) + gzipped(b"")),
        (b"gzip", gzipped(b"") * (MAX_BYTES // 20)),
        (b"gzip", gzipped(TICKER) + b"more"),
        (b"gzip", gzipped(TICKER)[:-1]),
        (b"gzip", gzipped(TICKER)[:-8] + bytes(8)),  # another checksum
        (b"gzip", b"\x1f\x8b\x08\x08\0\0\0\0\0\0" + b"n" * (MAX_BYTES - 10)),  # a name without end
        (b"deflate", zlib.compress(TICKER)),
        (b"br", b"\x0b\x02\x80{}\x03"),
        (b"zstd", b"(\xb5/\xfd\x04\x00\x11\x00\x00{}"),
        (b"identity, gzip", gzipped(TICKER)),
        (b"", TICKER.decode().encode("utf-16")),
        (b"", b"\xef\xbb\xbf" + TICKER),
        (b"", TICKER.replace(b"90001", b"9000\xb11")),
    ],
)
async def test_a_body_in_another_encoding_is_no_quote(client: Client, encoding: bytes, body: bytes) -> None:
    fields = [b"Content-Encoding: " + encoding] if encoding else []
    async with hostile(whole(body, *fields)) as server:
        upstream = upstream_at(server.url, client)
        await upstream.refresh(5)
    assert upstream.answer().quote is None
    assert upstream.answer().fault


@pytest.mark.parametrize(
    "status", [b"301 Moved", b"302 Found", b"303 Other", b"307 Temporary", b"308 Permanent"]
)
async def test_a_redirect_is_not_followed(client: Client, status: bytes) -> None:
    """Wherever it leads: the same server, another one of this machine, or the addresses of a cloud's metadata."""
    async with hostile(whole(TICKER)) as target:
        for location in (target.url, "/other", "//127.0.0.1/", "http://169.254.169.254/latest/meta-data/"):
            async with hostile(whole(TICKER, b"Location: " + location.encode(), status=status)) as server:
                upstream = upstream_at(server.url, client)
                await upstream.refresh(5)
            assert upstream.answer().quote is None
            assert "redirects are not followed" in (upstream.answer().fault or "")
            assert len(server.requests) == 1
        assert not target.requests


@pytest.mark.parametrize("header", [b"Refresh: 0; url=%b", b"Link: <%b>; rel=next", b'Alt-Svc: h2="%b"'])
async def test_other_headers_lead_nowhere(client: Client, header: bytes) -> None:
    async with (
        hostile(whole(TICKER)) as target,
        hostile(whole(TICKER, header % target.url.encode())) as server,
    ):
        endpoint = Endpoint(client, server.url)
        await endpoint.get()
        await endpoint.get()
    assert len(server.requests) == 2
    assert not target.requests


@pytest.mark.parametrize("cookie", [b"a=b; Path=/", b"\x1b[2J@=;;\x01", b"a" * 4000 + b"\xff"])
async def test_cookies_are_neither_kept_nor_mentioned(
    client: Client, cookie: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with hostile(whole(TICKER, b"Set-Cookie: " + cookie)) as server:
        endpoint = Endpoint(client, server.url)
        await endpoint.get()
        await endpoint.get()
    assert b"cookie" not in b"".join(server.requests).lower()
    assert not caplog.records


async def test_a_source_has_one_connection(client: Client) -> None:
    """Also where its responses end late or never, and in pieces that look like progress."""
    for start in (whole(TICKER), whole(TICKER, b"Connection: close"), OK + b"Content-Length: 9\r\n\r\n{"):
        async with hostile(start) as server:
            endpoint = Endpoint(client, server.url)
            for _ in range(5):
                try:
                    async with asyncio.timeout(0.05):
                        await endpoint.get()
                except (TimeoutError, SourceError):
                    pass
            assert server.requests
        assert server.most_connections <= 2  # the next may come before the end of the last is noticed


def repeated(piece: bytes, start: bytes = b"[", end: bytes = b"]") -> bytes:
    """JSON of the largest size that is allowed."""
    number = (MAX_BYTES - len(start) - len(end)) // len(piece)
    return start + (piece * number)[:-1] + end


@pytest.mark.parametrize(
    "body",
    [
        repeated(b"{},"),
        repeated(b"[],"),
        repeated(b'{"a":1},'),
        repeated(b"1,"),
        repeated(b"1e999,"),
        repeated(b"1,", end=b",NaN]"),
        repeated(b'"",'),
        repeated(b'"":1,', b"{", b"}"),
        repeated(b"\\u0041\\ud800", b'"', b'"'),
        b"{%b}" % b",".join(b'"%x":%d' % (number, number) for number in range(4_000)),
        b"1" * MAX_BYTES,
        b"1e" + b"9" * (MAX_BYTES - 2),
        b"[" * MAX_BYTES,
        b'{"":' * (MAX_BYTES // 4),
        b" " * MAX_BYTES,
        bytes(MAX_BYTES),
    ],
    ids=range(16),
)
def test_the_worst_bodies_are_read_at_once(body: bytes) -> None:
    """No number is computed, and no text is searched more than once."""
    started = time.thread_time()
    for definition in SOURCES.values():
        with pytest.raises(SourceError):
            definition.parse(body)
    assert time.thread_time() - started < STALL * len(SOURCES)


@pytest.mark.parametrize(
    "response",
    [
        CHUNKED + b"1\r\n1\r\n" * 20_000 + b"0\r\n\r\n",
        CHUNKED + b"1\r\n1\r\n" * 100_000,
        OK + b"a:b\r\n" * 250 + EMPTY,
        OK + b"a:b\r\n" * 50_000 + b"\r\n",
        OK + (b"a:" + b"\xff" * 500 + b"\r\n") * 250 + EMPTY,
        OK + (b"Set-Cookie:" + b"a=b;" * 120 + b"\r\n") * 250 + EMPTY,
        OK + b"Link: " + b"<" * 60_000 + b"\r\n" + EMPTY,
        OK + b"Date: " + b"Mon, " * 12_000 + b"\r\nAge: " + b"9," * 30_000 + b"\r\n" + EMPTY,
        OK + b"Retry-After: " + b"Mon, " * 12_000 + b"\r\n" + EMPTY,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000,
        whole(gzipped(b"") * (MAX_BYTES // 20), b"Content-Encoding: gzip"),
        whole(BOMB, b"Content-Encoding: gzip"),
    ],
    ids=range(12),
)
async def test_no_response_blocks_the_event_loop(client: Client, response: bytes) -> None:
    """In CPU time of this thread, since other processes may have the CPU in between."""
    async with hostile(response) as server:
        polling = asyncio.create_task(upstream_at(server.url, client).refresh(5))
        worst, last = 0.0, time.thread_time()
        while not polling.done():
            await asyncio.sleep(0)
            now = time.thread_time()
            worst, last = max(worst, now - last), now
    assert worst < STALL
