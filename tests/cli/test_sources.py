"""`sources`: what it prints of the sources that it asked."""

import asyncio
import re
from decimal import Decimal

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
        rf"^kraken +– .* error: the source says no: {re.escape(WORDS[:70])}", result.stdout, re.MULTILINE
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


def test_sources_without_a_quorum_is_exit_1() -> None:
    result = run(
        "sources", SOURCES="kraken,gemini", KRAKEN_URL="http://127.0.0.1:1", GEMINI_URL="http://127.0.0.1:1"
    )
    assert result.returncode == 1
    assert "kraken" in result.stdout
    assert "no price" in result.stdout
