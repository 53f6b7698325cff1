"""Sources behind a SOCKS proxy, on real sockets: what the proxy receives, and how its failures are described."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from btc_price_tracker.clock import SystemClock
from btc_price_tracker.playback import Playback, Script
from btc_price_tracker.price.model import Answer, Quote
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.connect import connect
from btc_price_tracker.sources.endpoint import open_client
from socks import socks

PRICE = Decimal("90000.01")
TICKER = b'{"error":[],"result":{"XXBTZUSD":{"a":["90001"],"b":["90000"],"c":["90000.01"]}}}'
DEADLINE = 1.9  # seconds: too short for a retry, which would come a second later


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def playback() -> AsyncIterator[Playback]:
    async with Playback(Script({"kraken": Quote(PRICE)})) as playback:
        yield playback


async def poll(url: str) -> Answer:
    async with open_client() as client:
        source = replace(SOURCES["kraken"], url=url)
        upstream = connect(source, client, SystemClock(), Random(1))
        await upstream.refresh(DEADLINE)
        return upstream.answer()


@pytest.mark.parametrize(
    ("scheme", "host", "received"),
    [
        ("socks5h", "prices.onion", "prices.onion"),
        ("socks5h", "192.0.2.1", "192.0.2.1"),
        ("socks5h", "[2001:db8::1]", "2001:db8::1"),
        ("socks5", "192.0.2.1", "192.0.2.1"),
        ("socks5", "[2001:db8::1]", "2001:db8::1"),
        ("socks4a", "prices.onion", "prices.onion"),
        ("socks4", "192.0.2.1", "192.0.2.1"),
        ("socks", "192.0.2.1", "192.0.2.1"),
    ],
)
async def test_sources_are_polled_through_a_socks_proxy(
    playback: Playback, monkeypatch: pytest.MonkeyPatch, scheme: str, host: str, received: str
) -> None:
    async with socks(playback.port) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://localhost:{proxy.port}")
        answer = await poll(f"http://{host}:81/kraken")
    assert (answer.fault, answer.quote and answer.quote.last) == (None, PRICE)
    assert proxy.requests == [(received, 81)]


@pytest.mark.parametrize("scheme", ["socks5", "socks4"])
async def test_address_only_proxies_get_no_names(
    playback: Playback, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    async with socks(playback.port) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        assert (await poll("http://-.invalid")).fault == "host name not resolved (DNS)"
    assert proxy.requests == []


async def test_the_password_is_sent_to_the_proxy(playback: Playback, monkeypatch: pytest.MonkeyPatch) -> None:
    async with socks(playback.port, password="p@ss") as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://user:p%40ss@127.0.0.1:{proxy.port}")
        assert (await poll("http://prices.onion/kraken")).fault is None
        monkeypatch.setenv("ALL_PROXY", f"socks5h://user:word@127.0.0.1:{proxy.port}")
        assert (await poll("http://prices.onion/kraken")).fault == "no connection through the proxy"


async def test_loopback_bypasses_the_proxy(playback: Playback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    assert (await poll(playback.url("kraken"))).fault is None


async def test_http_proxy_wins_over_socks_all_proxy(
    playback: Playback, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with socks(playback.port) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        assert (await poll("http://prices.test")).fault == "no connection to the proxy"
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("socks5h://127.0.0.1:1", "no connection to the proxy"),
        ("socks5://-.invalid:1080", "proxy name not resolved (DNS)"),
    ],
)
async def test_an_unreachable_proxy_is_described(
    monkeypatch: pytest.MonkeyPatch, proxy: str, message: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    assert (await poll("http://192.0.2.1")).fault == message


@pytest.mark.parametrize("scheme", ["socks5h", "socks4a"])
async def test_a_proxy_refusal_is_described(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    async with socks(1, refuses=True) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        assert (await poll("http://prices.onion")).fault == "no connection through the proxy"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for prices.onion, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    path = tmp_path / "prices.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path)]
    name = ["-subj", "/CN=prices.onion", "-addext", "subjectAltName=DNS:prices.onion"]
    made = subprocess.run([openssl, "req", "-x509", *key, *name], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + made.stdout)
    return path


@pytest.mark.parametrize(
    ("host", "fault"),
    [("prices.onion", None), ("other.onion", "TLS failed: no valid certificate, or not TLS at all")],
)
async def test_tls_is_verified_against_the_source(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, host: str, fault: str | None
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(TICKER), TICKER))
        writer.close()

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server, socks(server.sockets[0].getsockname()[1]) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
        assert (await poll(f"https://{host}")).fault == fault
    assert set(proxy.requests) == {(host, 443)}
