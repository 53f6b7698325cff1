"""Each HTTP fault by itself, on a real socket: its description, and how soon it is detected."""

import asyncio
import errno
import gzip
import json
import os
import resource
import time
import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import NoReturn

import aiohttp
import pytest
from structlog.testing import capture_logs
from yarl import URL

from btc_price_tracker import __version__
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.errors import ConnectionDropped, SourceUnreachable
from btc_price_tracker.http_client.client import Client
from btc_price_tracker.playback import Fault, Playback, Script
from btc_price_tracker.price.model import Answer, Quote, State
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.connect import connect
from btc_price_tracker.sources.endpoint import Endpoint, open_client
from btc_price_tracker.sources.parsing import MAX_BYTES
from btc_price_tracker.sources.ratelimit import RateLimiter
from btc_price_tracker.sources.upstream import Upstream

DEADLINE = 1.9  # seconds: too short for a retry, which would come a second later
SOON = 2.0  # seconds that a round may take longer on a busy machine
PRICE = Decimal("90000.01")
KEY = "CG-0123456789abcdef"
TICKER = b'{"error":[],"result":{"XXBTZUSD":{"a":["90001"],"b":["90000"],"c":["90000.01"]}}}'


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that don't resolve are for us to see, not for a proxy of this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def playback() -> AsyncIterator[Playback]:
    async with Playback(Script({name: Quote(PRICE) for name in SOURCES})) as playback:
        yield playback


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with open_client() as client:
        yield client


def upstream_at(url: str, client: Client, name: str = "kraken", key: str = "") -> Upstream:
    return connect(replace(SOURCES[name], url=url), client, SystemClock(), Random(1), key)


async def polled(upstream: Upstream) -> Answer:
    await upstream.refresh(DEADLINE)
    return upstream.answer()


async def poll(url: str, client: Client) -> tuple[Answer, float]:
    """The answer of a source at this URL, and how many seconds it took."""
    started = time.monotonic()
    answer = await polled(upstream_at(url, client))
    return answer, time.monotonic() - started


@asynccontextmanager
async def server_saying(answer: bytes) -> AsyncIterator[int]:
    """A port at which any request gets these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def server_of_one_answer() -> AsyncIterator[int]:
    """A port at which each connection is kept after its first answer, and closed at the next request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(TICKER), TICKER))
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def server_without_end(start: bytes, piece: bytes) -> AsyncIterator[int]:
    """A port at which a request is answered with a start, and one piece over and over until the client leaves."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        with suppress(ConnectionError):
            while True:
                writer.write(piece * (65536 // len(piece)))
                await writer.drain()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def gzipped(size: int) -> Fault:
    return Fault(body=gzip.compress(bytes(size)), headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(status=302, headers={"Location": "/kraken"}), "HTTP 302: redirects are not followed"),
        (Fault(status=400), "HTTP 400"),
        (Fault(status=403), "HTTP 403: this address is blocked"),
        (Fault(status=404), "HTTP 404"),
        (Fault(status=418), "HTTP 418: banned for too many requests"),
        (Fault(status=429), "HTTP 429: too many requests"),
        (Fault(status=451), "HTTP 451: not available in this region"),
        (Fault(status=500), "HTTP 500"),
        (Fault(status=503), "HTTP 503"),
        (Fault(body=b""), "the body is not JSON"),
        (Fault(body=b"<html><title>Just a moment...</title>"), "the body is HTML"),
        (Fault(reset="head"), "connection reset"),
        (Fault(reset="body"), "the response is incomplete or not HTTP"),
        (Fault(truncate=20), "the response is incomplete or not HTTP"),
        (Fault(headers={"Content-Length": "5000"}), "the response is incomplete or not HTTP"),
        (Fault(headers={"Content-Length": "20"}), "the response is incomplete or not HTTP"),
        (Fault(headers={"Content-Length": "much"}), "the response is incomplete or not HTTP"),
        (Fault(headers={"Content-Encoding": "gzip"}), "the body is not what its Content-Encoding says"),
        (Fault(flood=10 * MAX_BYTES), f"the response is larger than {MAX_BYTES} bytes"),
        (gzipped(512 * MAX_BYTES), f"the response is larger than {MAX_BYTES} bytes"),
    ],
)
async def test_a_fault_is_described_and_gives_no_quote(
    playback: Playback, client: Client, fault: Fault, message: str
) -> None:
    playback.faults["kraken"] = fault
    answer, _ = await poll(playback.url("kraken"), client)
    assert (answer.quote, answer.fault) == (None, message)


@pytest.mark.parametrize("fault", [Fault(hang=True), Fault(delay=5), Fault(drip=0.05)])
async def test_slow_responses_time_out(playback: Playback, client: Client, fault: Fault) -> None:
    playback.faults["kraken"] = fault
    answer, took = await poll(playback.url("kraken"), client)
    assert (answer.quote, answer.fault) == (None, "no complete response in time")
    assert DEADLINE <= took < DEADLINE + SOON


async def test_a_delay_within_the_deadline_is_harmless(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(delay=0.1)
    answer, _ = await poll(playback.url("kraken"), client)
    assert answer.fault is None
    assert answer.quote
    assert answer.quote.last == PRICE


async def test_a_gzip_response_is_decompressed(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(body=gzip.compress(TICKER), headers={"Content-Encoding": "gzip"})
    answer, _ = await poll(playback.url("kraken"), client)
    assert answer.quote
    assert answer.quote.last == PRICE


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://nobody.invalid", "host name not resolved (DNS)"),
        ("http://127.0.0.1:1", "connection refused"),
    ],
)
async def test_unreachable_hosts_are_described(client: Client, url: str, message: str) -> None:
    assert (await poll(url, client))[0].fault == message


@pytest.mark.parametrize(
    ("scheme", "sent", "message"),
    [
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "TLS failed: no valid certificate, or not TLS at all"),
        ("http", b"SSH-2.0-OpenSSH_9.6\r\n", "the response is incomplete or not HTTP"),
        ("http", b"", "the response is incomplete or not HTTP"),
    ],
)
async def test_other_protocols_are_described(client: Client, scheme: str, sent: bytes, message: str) -> None:
    async with server_saying(sent) as port:
        assert (await poll(f"{scheme}://127.0.0.1:{port}", client))[0].fault == message


async def test_a_gzip_bomb_uses_bounded_memory(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = gzipped(512 * MAX_BYTES)
    tracemalloc.start()
    await poll(playback.url("kraken"), client)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MAX_BYTES


async def test_the_last_quote_survives_a_fault(playback: Playback, client: Client) -> None:
    upstream = Upstream(
        SOURCES["kraken"],
        Endpoint(client, playback.url("kraken") + SOURCES["kraken"].path).get,
        RateLimiter(0.001, Random(1)),
        SystemClock(),
        Random(1),
    )
    first = await polled(upstream)
    playback.faults["kraken"] = Fault(status=404)
    second = await polled(upstream)
    assert second.fault == "HTTP 404"
    assert (second.quote, second.received_at) == (first.quote, first.received_at)


@pytest.mark.parametrize(
    "head",
    [
        b"Retry-After: 119\r\nContent-Encoding: br",
        b"Retry-After: 119\r\nContent-Encoding: gzip",
        b"Retry-After: 1\r\nRetry-After: 119",
        b"Retry-After: 119\r\nContent-Security-Policy: " + 20_000 * b"x",
        b"Retry-After: 119" + 200 * b"\r\nSet-Cookie: a=b",
    ],
)
async def test_error_statuses_are_reported_with_corrupt_bodies(client: Client, head: bytes) -> None:
    async with server_saying(b"HTTP/1.1 429 No\r\n" + head + b"\r\nContent-Length: 3\r\n\r\nno!") as port:
        upstream = upstream_at(f"http://127.0.0.1:{port}", client)
        assert (await polled(upstream)).fault == "HTTP 429: too many requests"
        assert 110 < upstream.state().next_try <= 131


EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", EARLY_HINTS),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"a: " + 2_000 * b"b" + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"a: " + 60_000 * b"b" + b"\r\n"),
        (b"HTTP/1.1 103 Early Hints\r\n", b"a: " + 60_000 * b"b" + b"\r\n"),
    ],
)
async def test_an_endless_head_is_aborted(client: Client, start: bytes, piece: bytes) -> None:
    async with server_without_end(start, piece) as port:
        with pytest.raises(SourceUnreachable, match="the response head is too long"):
            await Endpoint(client, f"http://127.0.0.1:{port}").get()


async def test_a_few_interim_responses_are_accepted(client: Client) -> None:
    final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(TICKER), TICKER)
    async with server_saying(8 * EARLY_HINTS + final) as port:
        assert (await Endpoint(client, f"http://127.0.0.1:{port}").get()).body == TICKER


async def test_unsolicited_responses_close_a_kept_connection() -> None:
    """They would fill the memory for as long as the connection is kept."""
    empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    kept, left = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(empty)
        await kept.wait()
        with suppress(ConnectionError):
            while True:
                writer.write(empty)
                await asyncio.sleep(0)
                await writer.drain()
        left.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, open_client() as client:
        await Endpoint(client, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}").get()
        kept.set()
        await asyncio.wait_for(left.wait(), 10)


async def test_a_dropped_kept_connection_is_no_source_fault(
    client: Client,
) -> None:
    async with server_of_one_answer() as port:
        endpoint = Endpoint(client, f"http://127.0.0.1:{port}")
        await endpoint.get()
        with pytest.raises(ConnectionDropped):
            await endpoint.get()
        assert (await endpoint.get()).body == TICKER
    async with server_saying(b"") as port:
        with pytest.raises(SourceUnreachable) as raised:
            await Endpoint(client, f"http://127.0.0.1:{port}").get()
    assert raised.type is SourceUnreachable


async def test_every_request_is_counted(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(reset="head")
    upstream = upstream_at(playback.url("kraken"), client)
    await polled(upstream)
    assert len(playback.calls["kraken"]) == upstream.state().calls


async def test_retry_after_delays_the_next_request(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(status=429, headers={"Retry-After": "119"})
    upstream = upstream_at(playback.url("kraken"), client)
    await polled(upstream)
    await polled(upstream)
    state = upstream.state()
    assert state.state is State.THROTTLED
    assert 110 < state.next_try <= 131
    assert len(playback.calls["kraken"]) == 1


async def test_a_binance_ban_lasts_until_the_time_in_its_message(playback: Playback, client: Client) -> None:
    ends = SystemClock().now() + 600_000
    sent = {"code": -1003, "msg": f"Way too much request weight used; IP banned until {ends}. Please use WS."}
    playback.faults["binance"] = Fault(status=418, body=json.dumps(sent).encode())
    upstream = upstream_at(playback.url("binance"), client, "binance")
    answer = await polled(upstream)
    assert answer.fault
    assert answer.fault.startswith("HTTP 418: banned for too many requests")
    assert 590 < upstream.state().next_try <= 661


async def test_age_header_dates_a_quote_without_time(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(headers={"Age": "37, 5"})
    answer, _ = await poll(playback.url("kraken"), client)
    assert answer.quote
    assert answer.quote.time == answer.received_at - 37_000


async def test_requests_have_a_user_agent(playback: Playback, client: Client) -> None:
    await poll(playback.url("kraken"), client)
    headers = playback.calls["kraken"][0].headers
    assert headers["user-agent"] == f"btc-price-tracker/{__version__}"
    assert headers["accept-encoding"] == "gzip"


async def test_lack_of_descriptors_is_a_local_error(playback: Playback, client: Client) -> None:
    with no_descriptor_left():
        answer, _ = await poll(playback.url("kraken"), client)
    assert answer.fault == f"this machine can't open a connection ({os.strerror(errno.EMFILE)})"
    answer, _ = await poll(playback.url("kraken"), client)
    assert answer.quote


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    free = os.dup(0)
    os.close(free)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_proxies_are_used_except_for_loopback_and_no_proxy(
    playback: Playback, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server_saying(b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy}")
        monkeypatch.setenv("no_proxy", "-.invalid")
        async with open_client() as client:
            urls = [playback.url("kraken"), "http://a.invalid", "https://a.invalid", "https://-.invalid"]
            answers = [await poll(url, client) for url in urls]
    assert [answer.fault for answer, _ in answers] == [
        None,
        "no connection to the proxy",
        "the proxy refused the request",
        "host name not resolved (DNS)",
    ]


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("http://127.0.0.1:1", "no connection to the proxy"),
        ("http://proxy.invalid:3128", "proxy name not resolved (DNS)"),
    ],
)
async def test_an_unreachable_proxy_is_described(
    monkeypatch: pytest.MonkeyPatch, proxy: str, message: str
) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    async with open_client() as client:
        for url in ("http://a.invalid", "https://a.invalid"):
            assert (await poll(url, client))[0].fault == message


async def test_an_invalid_proxy_response_resets_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server_saying(b"HTTP/1.1 200 OK\r\n\r\nnonsense") as proxy:
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy}")
        async with open_client() as client:
            assert (await poll("https://a.invalid", client))[0].fault == "connection reset"


async def test_the_key_is_sent_to_coingecko_only(playback: Playback, client: Client) -> None:
    for name in ("coingecko", "kraken"):
        await polled(upstream_at(playback.url(name), client, name, KEY))
    assert playback.calls["coingecko"][0].headers["x-cg-demo-api-key"] == KEY
    assert KEY not in str(playback.calls["kraken"][0].headers)


async def test_a_pro_key_has_its_own_header(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[Mapping[str, str]] = []

    def get(_: Client, __: URL, headers: Mapping[str, str]) -> NoReturn:
        requests.append(headers)
        raise aiohttp.ClientError

    monkeypatch.setattr(Client, "get", get)
    await polled(upstream_at("https://pro-api.coingecko.com/api/v3", client, "coingecko", KEY))
    assert requests[0] == {"x-cg-pro-api-key": KEY}


@pytest.mark.parametrize("key", [KEY, "line\nbreak", "nicht-ASCII-ß"])
async def test_a_key_is_never_shown(playback: Playback, client: Client, key: str) -> None:
    echo = {"status": {"error_code": 401, "error_message": f"unknown key {key}"}}
    playback.faults["coingecko"] = Fault(status=401, body=json.dumps(echo, ensure_ascii=False).encode())
    upstream = upstream_at(playback.url("coingecko"), client, "coingecko", key)
    with capture_logs() as lines:
        answer = await polled(upstream)
    shown = f"{answer} {upstream.state()} {lines} {upstream._fetch!r}"
    assert answer.fault
    assert key not in shown
    assert json.dumps(key)[1:-1] not in shown


def error_body(message: str) -> bytes:
    return f'{{"status":{{"error_code":401,"error_message":"{message}"}}}}'.encode()


ESCAPED = "".join(f"\\u{ord(sign):04x}" for sign in KEY)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=401, body=error_body(f"unknown key {ESCAPED}")),
        Fault(status=401, body=error_body(f"unknown key {KEY.upper()}")),
        Fault(status=401, body=error_body("x" * 65 + KEY)),  # cut off within
        Fault(status=401, body=error_body(f"unknown key '{KEY[:9]}\\/{KEY[9:]}'")),
        Fault(status=200, body=b"?", headers={"Content-Encoding": KEY}),
        Fault(status=200, body=f'{{"bitcoin":{{"usd":"{KEY}"}}}}'.encode()),
    ],
)
async def test_a_key_repeated_by_the_source_is_hidden(
    playback: Playback, client: Client, fault: Fault
) -> None:
    playback.faults["coingecko"] = fault
    upstream = upstream_at(playback.url("coingecko"), client, "coingecko", KEY)
    with capture_logs() as lines:
        answer = await polled(upstream)
    shown = f"{answer} {upstream.state()} {lines}".lower()
    assert answer.fault
    assert "***" in answer.fault
    assert not any(KEY.lower()[at : at + 6] in shown for at in range(len(KEY) - 5))


async def test_a_password_repeated_by_the_source_is_hidden(playback: Playback, client: Client) -> None:
    sent = b64encode(b"user:pass-word").decode()
    playback.faults["coingecko"] = Fault(status=401, body=error_body(f"Basic {sent}, pass-word"))
    url = playback.url("coingecko").replace("//", "//user:pass-word@")
    answer = await polled(upstream_at(url, client, "coingecko"))
    assert answer.fault == "HTTP 401: source returned an error: 401, Basic ***, ***"
