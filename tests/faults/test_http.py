"""Each thing that can go wrong with an HTTP answer, alone, on a real socket: which fault it becomes, and how soon."""

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
    """Names that don't resolve must fail here and not at a proxy of this machine."""
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


async def ask(url: str, client: Client) -> tuple[Answer, float]:
    """The answer of a source at this URL, and how many seconds it took."""
    started = time.monotonic()
    answer = await upstream_at(url, client).ask(DEADLINE)
    return answer, time.monotonic() - started


@asynccontextmanager
async def server_saying(answer: bytes) -> AsyncIterator[int]:
    """A port at which whoever sends anything is answered these bytes."""

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
    ("fault", "words"),
    [
        (Fault(status=302, headers={"Location": "/kraken"}), "HTTP 302: it redirects, which we don't follow"),
        (Fault(status=400), "HTTP 400"),
        (Fault(status=403), "HTTP 403: we are blocked"),
        (Fault(status=404), "HTTP 404"),
        (Fault(status=418), "HTTP 418: banned for asking too often"),
        (Fault(status=429), "HTTP 429: asked too often"),
        (Fault(status=451), "HTTP 451: not offered where we are"),
        (Fault(status=500), "HTTP 500"),
        (Fault(status=503), "HTTP 503"),
        (Fault(body=b""), "the body is not JSON"),
        (Fault(body=b"<html><title>Just a moment...</title>"), "the body is HTML"),
        (Fault(reset="head"), "the connection broke"),
        (Fault(reset="body"), "the answer broke off or is not HTTP"),
        (Fault(truncate=20), "the answer broke off or is not HTTP"),
        (Fault(headers={"Content-Length": "5000"}), "the answer broke off or is not HTTP"),
        (Fault(headers={"Content-Length": "20"}), "the answer broke off or is not HTTP"),
        (Fault(headers={"Content-Length": "much"}), "the answer broke off or is not HTTP"),
        (Fault(headers={"Content-Encoding": "gzip"}), "the body is not what its Content-Encoding says"),
        (Fault(flood=10 * MAX_BYTES), f"the body is larger than {MAX_BYTES} bytes"),
        (gzipped(64 * MAX_BYTES), f"the body is larger than {MAX_BYTES} bytes"),
    ],
)
async def test_fault_is_named_and_yields_no_price(
    playback: Playback, client: Client, fault: Fault, words: str
) -> None:
    playback.faults["kraken"] = fault
    answer, _ = await ask(playback.url("kraken"), client)
    assert (answer.quote, answer.fault) == (None, words)


@pytest.mark.parametrize("fault", [Fault(hang=True), Fault(delay=5), Fault(drip=0.05)])
async def test_slow_response_ends_at_the_deadline(playback: Playback, client: Client, fault: Fault) -> None:
    playback.faults["kraken"] = fault
    answer, took = await ask(playback.url("kraken"), client)
    assert (answer.quote, answer.fault) == (None, "no whole answer in time")
    assert DEADLINE <= took < DEADLINE + SOON


async def test_a_delay_within_the_deadline_does_no_harm(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(delay=0.1)
    answer, _ = await ask(playback.url("kraken"), client)
    assert answer.fault is None
    assert answer.quote
    assert answer.quote.last == PRICE


async def test_an_honest_gzipped_answer_is_read(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(body=gzip.compress(TICKER), headers={"Content-Encoding": "gzip"})
    answer, _ = await ask(playback.url("kraken"), client)
    assert answer.quote
    assert answer.quote.last == PRICE


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://nobody.invalid", "its name can't be resolved (DNS)"),
        ("http://127.0.0.1:1", "the connection was refused"),
    ],
)
async def test_where_nobody_is(client: Client, url: str, words: str) -> None:
    assert (await ask(url, client))[0].fault == words


@pytest.mark.parametrize(
    ("scheme", "said", "words"),
    [
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "TLS failed: no valid certificate, or not TLS at all"),
        ("http", b"SSH-2.0-OpenSSH_9.6\r\n", "the answer broke off or is not HTTP"),
        ("http", b"", "the answer broke off or is not HTTP"),
    ],
)
async def test_where_somebody_else_is(client: Client, scheme: str, said: bytes, words: str) -> None:
    async with server_saying(said) as port:
        assert (await ask(f"{scheme}://127.0.0.1:{port}", client))[0].fault == words


async def test_gzip_bomb_is_cut_off_with_bounded_memory(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = gzipped(64 * MAX_BYTES)
    tracemalloc.start()
    await ask(playback.url("kraken"), client)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MAX_BYTES


async def test_after_a_fault_the_last_quote_keeps_its_age(playback: Playback, client: Client) -> None:
    upstream = Upstream(
        SOURCES["kraken"],
        Endpoint(client, playback.url("kraken") + SOURCES["kraken"].path).get,
        RateLimiter(0.001, Random(1)),
        SystemClock(),
        Random(1),
    )
    first = await upstream.ask(DEADLINE)
    playback.faults["kraken"] = Fault(status=404)
    second = await upstream.ask(DEADLINE)
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
async def test_refusal_is_recognised_despite_odd_headers(client: Client, head: bytes) -> None:
    async with server_saying(b"HTTP/1.1 429 No\r\n" + head + b"\r\nContent-Length: 3\r\n\r\nno!") as port:
        upstream = upstream_at(f"http://127.0.0.1:{port}", client)
        assert (await upstream.ask(DEADLINE)).fault == "HTTP 429: asked too often"
        assert 110 < upstream.state(lambda *_: True).next_try <= 131


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
async def test_head_without_end_is_given_up_at_once(client: Client, start: bytes, piece: bytes) -> None:
    async with server_without_end(start, piece) as port:
        with pytest.raises(SourceUnreachable, match="the head of the answer has no end"):
            await Endpoint(client, f"http://127.0.0.1:{port}").get()


async def test_a_few_interim_responses_do_no_harm(client: Client) -> None:
    final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(TICKER), TICKER)
    async with server_saying(8 * EARLY_HINTS + final) as port:
        assert (await Endpoint(client, f"http://127.0.0.1:{port}").get()).body == TICKER


async def test_responses_to_no_request_end_a_kept_connection() -> None:
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


async def test_closed_keep_alive_connection_is_retried_and_not_a_fault(
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
    await upstream.ask(DEADLINE)
    assert len(playback.calls["kraken"]) == upstream.state(lambda *_: True).calls


async def test_retry_after_holds_back_the_next_round(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(status=429, headers={"Retry-After": "119"})
    upstream = upstream_at(playback.url("kraken"), client)
    await upstream.ask(DEADLINE)
    await upstream.ask(DEADLINE)
    state = upstream.state(lambda *_: True)
    assert state.state is State.THROTTLED
    assert 110 < state.next_try <= 131
    assert len(playback.calls["kraken"]) == 1


async def test_binance_ban_lasts_until_the_time_in_its_message(playback: Playback, client: Client) -> None:
    ends = SystemClock().now() + 600_000
    said = {"code": -1003, "msg": f"Way too much request weight used; IP banned until {ends}. Please use WS."}
    playback.faults["binance"] = Fault(status=418, body=json.dumps(said).encode())
    upstream = upstream_at(playback.url("binance"), client, "binance")
    answer = await upstream.ask(DEADLINE)
    assert answer.fault
    assert answer.fault.startswith("HTTP 418: banned for asking too often")
    assert 590 < upstream.state(lambda *_: True).next_try <= 661


async def test_age_header_dates_a_cached_response_without_a_time(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(headers={"Age": "37, 5"})
    answer, _ = await ask(playback.url("kraken"), client)
    assert answer.quote
    assert answer.quote.time == answer.received_at - 37_000


async def test_we_say_who_we_are(playback: Playback, client: Client) -> None:
    await ask(playback.url("kraken"), client)
    headers = playback.calls["kraken"][0].headers
    assert headers["user-agent"] == f"btc-price-tracker/{__version__}"
    assert headers["accept-encoding"] == "gzip"


async def test_missing_descriptors_are_a_local_fault(playback: Playback, client: Client) -> None:
    with no_descriptor_left():
        answer, _ = await ask(playback.url("kraken"), client)
    assert answer.fault == f"this machine can't open a connection ({os.strerror(errno.EMFILE)})"
    answer, _ = await ask(playback.url("kraken"), client)
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


async def test_proxy_is_used_except_for_loopback_and_no_proxy(
    playback: Playback, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server_saying(b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy}")
        monkeypatch.setenv("no_proxy", "-.invalid")
        async with open_client() as client:
            urls = [playback.url("kraken"), "http://a.invalid", "https://a.invalid", "https://-.invalid"]
            answers = [await ask(url, client) for url in urls]
    assert [answer.fault for answer, _ in answers] == [
        None,
        "no connection to the proxy",
        "the proxy refused",
        "its name can't be resolved (DNS)",
    ]


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http://127.0.0.1:1", "no connection to the proxy"),
        ("http://proxy.invalid:3128", "the proxy's name can't be resolved (DNS)"),
    ],
)
async def test_a_proxy_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, proxy: str, words: str
) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    async with open_client() as client:
        for url in ("http://a.invalid", "https://a.invalid"):
            assert (await ask(url, client))[0].fault == words


async def test_a_proxy_that_talks_nonsense_breaks_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server_saying(b"HTTP/1.1 200 OK\r\n\r\nnonsense") as proxy:
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy}")
        async with open_client() as client:
            assert (await ask("https://a.invalid", client))[0].fault == "the connection broke"


async def test_api_key_is_sent_to_coingecko_only(playback: Playback, client: Client) -> None:
    for name in ("coingecko", "kraken"):
        await upstream_at(playback.url(name), client, name, KEY).ask(DEADLINE)
    assert playback.calls["coingecko"][0].headers["x-cg-demo-api-key"] == KEY
    assert KEY not in str(playback.calls["kraken"][0].headers)


async def test_pro_key_uses_its_own_header(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Mapping[str, str]] = []

    def get(_: Client, __: URL, headers: Mapping[str, str]) -> NoReturn:
        asked.append(headers)
        raise aiohttp.ClientError

    monkeypatch.setattr(Client, "get", get)
    await upstream_at("https://pro-api.coingecko.com/api/v3", client, "coingecko", KEY).ask(DEADLINE)
    assert asked[0] == {"x-cg-pro-api-key": KEY}


@pytest.mark.parametrize("key", [KEY, "line\nbreak", "nicht-ASCII-ß"])
async def test_a_key_never_shows(playback: Playback, client: Client, key: str) -> None:
    echo = {"status": {"error_code": 401, "error_message": f"unknown key {key}"}}
    playback.faults["coingecko"] = Fault(status=401, body=json.dumps(echo, ensure_ascii=False).encode())
    upstream = upstream_at(playback.url("coingecko"), client, "coingecko", key)
    with capture_logs() as lines:
        answer = await upstream.ask(DEADLINE)
    shown = f"{answer} {upstream.state(lambda *_: True)} {lines} {upstream._fetch!r}"
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
async def test_a_key_that_the_source_repeats_never_shows(
    playback: Playback, client: Client, fault: Fault
) -> None:
    playback.faults["coingecko"] = fault
    upstream = upstream_at(playback.url("coingecko"), client, "coingecko", KEY)
    with capture_logs() as lines:
        answer = await upstream.ask(DEADLINE)
    shown = f"{answer} {upstream.state(lambda *_: True)} {lines}".lower()
    assert answer.fault
    assert "***" in answer.fault
    assert not any(KEY.lower()[at : at + 6] in shown for at in range(len(KEY) - 5))


async def test_a_password_that_the_source_repeats_never_shows(playback: Playback, client: Client) -> None:
    sent = b64encode(b"user:pass-word").decode()
    playback.faults["coingecko"] = Fault(status=401, body=error_body(f"Basic {sent}, pass-word"))
    url = playback.url("coingecko").replace("//", "//user:pass-word@")
    answer = await upstream_at(url, client, "coingecko").ask(DEADLINE)
    assert answer.fault == "HTTP 401: the source says no: 401, Basic ***, ***"
