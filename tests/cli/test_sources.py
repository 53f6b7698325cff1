"""`sources`: the table, and the exit code."""

import asyncio
import re
from decimal import Decimal

from btc_price_tracker.playback import Fault, Playback, Script
from btc_price_tracker.price.model import Quote
from command import run

MESSAGE = "EGeneral:see [/docs/x] or [red], in one long line wherever it is printed to a file or pipe"
PRICE = Quote(Decimal(90_000))


async def test_error_of_a_source_is_printed_literally_on_one_line() -> None:
    async with Playback(Script()) as playback:
        playback.faults["kraken"] = Fault(status=200, body=f'{{"error": ["{MESSAGE}"]}}'.encode())
        result = await asyncio.to_thread(run, "sources", SOURCES="kraken", KRAKEN_URL=playback.url("kraken"))
    assert (result.returncode, result.stderr) == (1, "")
    assert re.search(rf"^kraken +– .* error: .*{re.escape(MESSAGE[:70])}", result.stdout, re.MULTILINE)


async def test_fallback_polls_every_source_as_well() -> None:
    async with Playback(Script(dict.fromkeys(("kraken", "gemini"), PRICE))) as playback:
        urls = {f"{name.upper()}_URL": playback.url(name) for name in ("kraken", "gemini")}
        result = await asyncio.to_thread(run, "sources", SOURCES="kraken,gemini", POLICY="fallback", **urls)
    assert result.returncode == 0
    assert re.search(r"^gemini +90,000\.00 .* ok: not needed", result.stdout, re.MULTILINE)
    assert re.search(r"single_source · .*kraken", result.stdout)


async def test_polling_the_tether_rate_does_not_delay_its_exchange() -> None:
    rates = dict.fromkeys(("tether", "tether_coinbase"), Quote(Decimal(1)))
    script = Script(dict.fromkeys(("kraken", "binance"), PRICE) | rates)
    async with Playback(script) as playback:
        urls = {f"{name.upper()}_URL": playback.url(name) for name in ("kraken", "binance", "coinbase")}
        result = await asyncio.to_thread(run, "sources", SOURCES="kraken,binance", INTERVAL="1", **urls)
    assert result.returncode == 0
    assert re.search(r"^kraken +90,000\.00 .* used", result.stdout, re.MULTILINE)


async def test_excluded_source_shows_its_state_once() -> None:
    quotes = dict.fromkeys(("kraken", "gemini", "bitstamp"), PRICE) | {"bitstamp": Quote(Decimal(99_000))}
    async with Playback(Script(quotes)) as playback:
        urls = {f"{name.upper()}_URL": playback.url(name) for name in quotes}
        result = await asyncio.to_thread(run, "sources", SOURCES=",".join(quotes), **urls)
    (line,) = re.findall(r"^bitstamp +99,000\.00 +\S+ s +\S+ ms +(.*)", result.stdout, re.MULTILINE)
    assert line.startswith("excluded: far from the others")
    assert line.count("excluded") == 1


def test_exit_code_is_1_without_a_quorum() -> None:
    result = run(
        "sources", SOURCES="kraken,gemini", KRAKEN_URL="http://127.0.0.1:1", GEMINI_URL="http://127.0.0.1:1"
    )
    assert result.returncode == 1
    assert "kraken" in result.stdout
    assert "no price" in result.stdout
