"""Every source parses its recorded responses exactly; tests/recordings/README.md has their origins."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.quoting import GENESIS
from btc_price_tracker.sources.tether import TETHERS

RECORDINGS = Path(__file__).parents[1] / "recordings"
BODIES = sorted(path for path in RECORDINGS.glob("*/*") if ".meta." not in path.name)
PARSERS = {**SOURCES, **{source.name: source for source in TETHERS.values()}}


def exactly(last: str, bid: str | None = None, ask: str | None = None, time: int | None = None) -> Quote:
    return Quote(
        Decimal(last), None if bid is None else Decimal(bid), None if ask is None else Decimal(ask), time
    )


QUOTES = {
    "binance/ticker_24hr_btcusdt_200": exactly("9912.33", "9907.65", "9911.68", 1_566_445_106_532),
    "binanceus/ticker_24hr_btcusd_200": exactly("10170", time=1_568_715_437_876),
    "bitfinex/ticker_tbtcusd_built": exactly("7381.2", "7381.6", "7381.7"),
    "bitstamp/ticker_btcusd_200": exactly("4402.16", "4401.37", "4412.98", 1_507_003_445_000),
    "blockchain_info/ticker_200": exactly("63410.18"),
    "coinbase/ticker_btc_usd_200": exactly("4417.01", "4417", "4417.01", 1_507_003_231_887),
    "coingecko/simple_price_all_fields_200_docexample": exactly("76975", time=1_779_092_258_000),
    "coingecko/simple_price_many_currencies_200": exactly("63410"),
    "coingecko/simple_price_usd_200": exactly("49253"),
    "coinpaprika/tickers_btc_200": exactly("30538.078793975994", time=1_689_064_817_000),
    "gemini/pubticker_btcusd_200": exactly("4407.82", "4407.81", "4407.82"),
    "kraken/ticker_xbtusd_200": exactly("27712.1", "27712.0", "27712.1"),
    "okx/ticker_btcusdt_2024-03-13": exactly("73384.8", "73384.7", "73384.8", 1_710_328_243_709),
    "tether/ticker_usdtzusd_200": exactly("0.99967", "0.99966", "0.99967"),
    "tether_coinbase/ticker_usdt_usd_built": exactly("1.00008", "1.00007", "1.00008", 1_677_628_859_114),
}


def read(name: str) -> Quote:
    return PARSERS[name.partition("/")[0]].parse((RECORDINGS / f"{name}.json").read_bytes())


@pytest.mark.parametrize(("name", "expected"), QUOTES.items(), ids=QUOTES)
def test_a_recorded_response_gives_the_exact_quote(name: str, expected: Quote) -> None:
    assert read(name) == expected


def test_every_source_has_a_recording() -> None:
    assert {name.split("/")[0] for name in QUOTES} == set(PARSERS)


@pytest.mark.parametrize("name", QUOTES)
def test_a_recorded_quote_is_plausible(name: str) -> None:
    quote = read(name)
    assert isinstance(quote.last, Decimal)
    assert quote.last.is_finite()
    assert (quote.bid is None) == (quote.ask is None)
    assert quote.bid is None or quote.ask is None or quote.bid < quote.ask
    assert quote.time is None or GENESIS < quote.time < 2_000_000_000_000


@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{body.parent.name}/{body.stem}")
def test_every_recording_has_a_kind_and_an_origin(body: Path) -> None:
    meta = json.loads(body.with_suffix(".meta.json").read_text())
    assert meta["source"] == body.parent.name
    assert meta["file"] == body.name
    assert meta["bytes"] == len(body.read_bytes())
    assert meta["kind"]
    assert meta["origin"]["repo"]
