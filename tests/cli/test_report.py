"""What `sources` prints of the sources that it asked."""

import asyncio
import re
import socket
from decimal import Decimal

import pytest

from btc_price_tracker.errors import HttpClientError
from btc_price_tracker.http_client.check import check_connectivity
from btc_price_tracker.playback import Fault, Playback, Script
from btc_price_tracker.price.model import Quote
from command import run

WORDS = "EGeneral:see [/docs/x] or [red], and mind that this is one long line wherever it is printed"


async def test_what_a_source_says_is_printed_as_it_is_and_in_one_line() -> None:
    async with Playback(Script()) as playback:
        playback.faults["kraken"] = Fault(status=200, body=f'{{"error": ["{WORDS}"]}}'.encode())
        result = await asyncio.to_thread(run, "sources", SOURCES="kraken", KRAKEN_URL=playback.url("kraken"))
    assert (result.returncode, result.stderr) == (1, "")
    assert re.search(
        rf"^kraken +– .* error: source returned an error: {re.escape(WORDS[:70])}",
        result.stdout,
        re.MULTILINE,
    )


async def test_in_fallback_every_source_is_asked_as_well() -> None:
    quotes = dict.fromkeys(("kraken", "gemini"), Quote(Decimal(90_000)))
    async with Playback(Script(quotes)) as playback:
        urls = {f"{name.upper()}_URL": playback.url(name) for name in quotes}
        result = await asyncio.to_thread(run, "sources", SOURCES="kraken,gemini", POLICY="fallback", **urls)
    assert result.returncode == 0
    assert re.search(
        r"^gemini +90,000\.00 .* ok: not needed: kraken comes first", result.stdout, re.MULTILINE
    )
    assert "The price is kraken's." in result.stdout


async def test_the_rate_of_tethers_takes_no_source_its_turn() -> None:
    rates = dict.fromkeys(("tether", "tether_coinbase"), Quote(Decimal(1)))
    async with Playback(
        Script(dict.fromkeys(("kraken", "binance"), Quote(Decimal(90_000))) | rates)
    ) as playback:
        urls = {f"{name.upper()}_URL": playback.url(name) for name in ("kraken", "binance", "coinbase")}
        asking = asyncio.to_thread(run, "sources", SOURCES="kraken,binance", INTERVAL="1", **urls)
        result = await asking
    assert result.returncode == 0
    assert re.search(r"^kraken +90,000\.00 .* used", result.stdout, re.MULTILINE)


async def test_an_excluded_source_is_said_to_be_so_once() -> None:
    quotes = dict.fromkeys(("kraken", "gemini", "bitstamp"), Quote(Decimal(90_000)))
    async with Playback(Script(quotes | {"bitstamp": Quote(Decimal(99_000))})) as playback:
        urls = {f"{name.upper()}_URL": playback.url(name) for name in quotes}
        result = await asyncio.to_thread(run, "sources", SOURCES=",".join(quotes), **urls)
    assert re.search(
        r"^bitstamp +99,000\.00 +\S+ s +\S+ ms +excluded: more than 5 %", result.stdout, re.MULTILINE
    )


@pytest.mark.parametrize("named", ["http://127.0.0.1:1", "socks5h://127.0.0.1:1", "http://-.invalid:3128"])
def test_check_tells_of_a_proxy_that_does_not_answer(named: str) -> None:
    result = run("check", HTTPS_PROXY=named, STORE_URL="memory://")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("btc-price-tracker: HTTPS_PROXY can't be used: ")
    assert result.stderr.endswith("; set another proxy, or unset it\n")
    assert run("check", HTTPS_PROXY=named, STORE_URL="memory://", NO_PROXY="*").returncode == 0


async def test_a_proxy_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        silent = rf"127\.0\.0\.1:{port} is unreachable \(no connection within"
        with (
            socket.create_connection(("127.0.0.1", port)),  # fills the backlog
            pytest.raises(HttpClientError, match=silent),
        ):
            await check_connectivity(["https://example.com"], 0.2)


def test_check_tells_of_a_host_that_is_not_ours() -> None:
    result = run("check", HOST="192.0.2.1", STORE_URL="memory://")
    assert (result.returncode, result.stdout) == (1, "")
    assert "HOST 192.0.2.1 is no address of this machine" in result.stderr


async def test_check_minds_no_server_that_runs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("check", PORT=str(taken.getsockname()[1]), STORE_URL="memory://")
    assert result.returncode == 0
