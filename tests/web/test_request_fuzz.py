"""Any bytes on a connection to a real server: never a 5xx, never a hang, and the next client is served."""

import asyncio
import re
import string
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btc_price_tracker.web.server.limits import ConnectionLimits
from live import Client, Live, live

TIMEOUT = 60  # seconds on a busy machine for what takes milliseconds
EXAMPLES = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])

HASTY = ConnectionLimits(
    head_timeout=0.3, half_closed_timeout=0.3, check_interval=0.05
)  # what is cut short is closed

PATHS = (
    *(
        "/",
        "/prices",
        "/prices/latest",
        "/prices/stream",
        "/prices/candles",
        "/prices/1",
        "/sources",
        "/healthz",
    ),
    *(
        "/prices/hours/2026-11-26T09",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/static/btc-price.js",
        "/nowhere",
    ),
)
PARAMETERS = ("since", "until", "limit", "last", "format", "interval", "last_event_id", "with", "after")
FIELDS = (
    *(
        "Host",
        "Accept",
        "Accept-Encoding",
        "Origin",
        "Last-Event-ID",
        "X-Request-ID",
        "Range",
        "Authorization",
    ),
    *(
        "If-None-Match",
        "Connection",
        "Expect",
        "Content-Length",
        "Transfer-Encoding",
        "Access-Control-Request-Method",
    ),
    *(
        "Cookie",
        "Upgrade",
        "Forwarded",
        "X-Forwarded-For",
        "traceparent",
        "Content-Type",
        "TE",
        "Sec-Fetch-Mode",
    ),
)
VALUES = (
    *("", "0", "-1", "1", "1e9", "9" * 30, "NaN", "null", "chunked", "close", "keep-alive", "gzip;q=0", "*"),
    *(
        "bytes=0-",
        "bytes=9-1",
        "100-continue",
        "../../etc/passwd",
        "%00",
        "%",
        "%ff",
        "a" * 5000,
        "1m",
        "csv",
        "x,y",
    ),
)
values = st.sampled_from(VALUES) | st.text(st.characters(max_codepoint=255), max_size=20)


@pytest.fixture
async def server() -> AsyncIterator[Live]:
    async with live(limits=HASTY) as server:
        await server.publish()
        yield server


async def answer_to(server: Live, data: bytes) -> bytes:
    """Everything that comes back until the server closes, after these bytes and the end of our side."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        async with asyncio.timeout(TIMEOUT):
            writer.write(data)
            writer.write_eof()
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def assert_withstood(server: Live, data: bytes) -> None:
    answer = await answer_to(server, data)
    statuses = re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)
    # 501 and 505 say what the client asks too much of the protocol.
    assert not [each for each in statuses if each.startswith(b"5") and each not in {b"501", b"505"}], answer[
        :2000
    ]
    assert not answer or answer.startswith(b"HTTP/1.")
    async with await Client.get(server.port, "/healthz") as client:
        assert client.status == 200


@given(
    method=st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "DELETE", "get", "PRI"]),
    path=st.sampled_from(PATHS) | st.text(string.printable, max_size=20).map(lambda text: "/" + quote(text)),
    query=st.dictionaries(st.sampled_from(PARAMETERS) | st.text(max_size=5), values, max_size=3),
    fields=st.lists(st.tuples(st.sampled_from(FIELDS), values), max_size=4),
)
@EXAMPLES
async def test_any_request_is_answered_without_a_server_error(
    server: Live, method: str, path: str, query: dict[str, str], fields: list[tuple[str, str]]
) -> None:
    target = path + ("?" if query else "")
    target += "&".join(f"{quote(name)}={quote(value)}" for name, value in query.items())
    head = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close"]
    head += [f"{name}: {value}" for name, value in fields]
    await assert_withstood(server, ("\r\n".join(head) + "\r\n\r\n").encode("latin-1"))


SEEDS = [f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n".encode() for path in PATHS] + [
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET /prices/stream HTTP/1.0\r\nLast-Event-ID: 1\r\n\r\n",
]
JUNK = st.binary(max_size=6) | st.sampled_from(
    [b"\r\n", b"\n", b"\0", b" ", b":", b"\r", b"\x80", b"HTTP/1.1", b"%00"]
)


@given(
    seeds=st.lists(st.sampled_from(SEEDS), min_size=1, max_size=4),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), JUNK), max_size=4),
)
@EXAMPLES
async def test_mutated_requests_are_withstood(
    server: Live, seeds: list[bytes], edits: list[tuple[float, int, bytes]]
) -> None:
    data = bytearray(b"".join(seeds))
    for place, length, junk in edits:
        at = round(place * len(data))
        data[at : at + length] = junk
    await assert_withstood(server, bytes(data))


@given(data=st.binary(max_size=300))
@EXAMPLES
async def test_random_bytes_are_withstood(server: Live, data: bytes) -> None:
    await assert_withstood(server, data)
