import json
from decimal import Decimal
from typing import Any

import pytest

from btc_price_tracker.errors import SourceRefused
from btc_price_tracker.playback import VENUES, Ticker
from btc_price_tracker.playback.venues import Response
from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.tether import TETHERS

NOW = 1_764_000_000_123
SAID = Ticker(Decimal("69420.25"), Decimal("69420.24"), Decimal("69420.31"), NOW)
RATE = Ticker(Decimal("1.0002"), Decimal("1.00010"), Decimal("1.00030"), NOW)

# What each format can carry: whether it has a book, and the precision of its own time in ms (None: no time).
CARRIES: dict[str, tuple[bool, int | None]] = {
    "coingecko": (False, 1000),
    "coinbase": (True, 1),
    "kraken": (True, None),
    "bitstamp": (True, 1000),
    "gemini": (True, None),
    "binance": (True, 1),
    "binanceus": (True, 1),
    "bitfinex": (True, None),
    "okx": (True, 1),
    "coinpaprika": (False, 1000),
    "blockchain_info": (False, None),
}


def answer(source: SourceDefinition, said: Ticker | None = SAID, venue: str | None = None) -> Response:
    return VENUES[venue or source.name].answer(source.path, lambda _: said, NOW)


def get(venue: str, target: str) -> tuple[int, Any]:
    response = VENUES[venue].answer(target, lambda _: SAID, NOW)
    return response.status, json.loads(response.body, parse_float=Decimal)


def test_the_playback_speaks_for_every_source_of_the_registry() -> None:
    assert list(VENUES) == list(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_what_a_venue_says_is_what_the_source_reads(name: str) -> None:
    book, precision = CARRIES[name]
    expected = Quote(
        last=SAID.last,
        bid=SAID.bid if book else None,
        ask=SAID.ask if book else None,
        time=precision and NOW // precision * precision,
    )
    response = answer(SOURCES[name])
    assert response.status == 200
    assert SOURCES[name].parse(response.body) == expected


@pytest.mark.parametrize("price", ["1", "69420", "22356.0", "69420.123456789", "99999999.99"])
@pytest.mark.parametrize("name", SOURCES)
def test_no_format_rounds_a_price(name: str, price: str) -> None:
    exact = Decimal(price)
    response = answer(SOURCES[name], Ticker(exact, exact, exact, NOW))
    assert SOURCES[name].parse(response.body).last == exact


@pytest.mark.parametrize(("venue", "time"), [("kraken", None), ("coinbase", NOW)])
def test_two_venues_also_give_the_rate_of_tether(venue: str, time: int | None) -> None:
    source = TETHERS[venue]
    response = VENUES[venue].answer(source.path, {source.name: RATE}.get, NOW)
    assert source.parse(response.body) == Quote(RATE.last, RATE.bid, RATE.ask, time)


@pytest.mark.parametrize("name", SOURCES)
def test_a_silent_venue_answers_503_in_words_that_the_source_understands(name: str) -> None:
    response = answer(SOURCES[name], said=None)
    assert response.status == 503
    with pytest.raises(SourceRefused):
        SOURCES[name].parse(response.body)


@pytest.mark.parametrize("name", SOURCES)
def test_a_path_that_the_venue_does_not_have_is_404_in_its_own_words(name: str) -> None:
    response = VENUES[name].answer("/no/such/path", lambda _: SAID, NOW)
    assert response.status == 404
    with pytest.raises(SourceRefused):
        SOURCES[name].parse(response.body)


@pytest.mark.parametrize(
    ("venue", "target", "expected"),
    [
        ("kraken", "/0/public/Ticker?pair=DOGEUSD", (200, {"error": ["EQuery:Unknown asset pair"]})),
        ("binance", "/api/v3/ticker/24hr?symbol=BTCUSD", (400, {"code": -1121, "msg": "Invalid symbol."})),
        ("coingecko", "/api/v3/simple/price", (422, {"error": "Missing parameter ids"})),
        (
            "coingecko",
            "/api/v3/simple/price?ids=bitcoin&vs_currencies=usd",
            (200, {"bitcoin": {"usd": 69420}}),
        ),
        (
            "bitstamp",
            "/api/v2/ticker/ethusd/",
            (404, {"status": "error", "reason": "Not found", "code": "404.002"}),
        ),
    ],
)
def test_other_questions_get_the_answers_that_the_api_gives(venue: str, target: str, expected: Any) -> None:
    assert get(venue, target) == expected


def test_prices_are_strings_or_numbers_as_the_source_has_them() -> None:
    assert get("coinbase", "/products/BTC-USD/ticker")[1]["price"] == "69420.25"
    assert get("kraken", "/0/public/Ticker?pair=XBTUSD")[1]["result"]["XXBTZUSD"]["c"][0] == "69420.25000"
    assert get("binance", "/api/v3/ticker/24hr?symbol=BTCUSDT")[1]["lastPrice"] == "69420.25000000"
    assert get("bitfinex", "/v2/ticker/tBTCUSD")[1][6] == Decimal("69420.25")
    assert get("blockchain_info", "/ticker")[1]["USD"]["last"] == Decimal("69420.25")


def test_times_are_written_as_the_source_writes_them() -> None:
    assert get("coinbase", "/products/BTC-USD/ticker")[1]["time"] == "2025-11-24T16:00:00.123000Z"
    assert get("bitstamp", "/api/v2/ticker/btcusd/")[1]["timestamp"] == "1764000000"
    assert get("gemini", "/v1/pubticker/btcusd")[1]["volume"]["timestamp"] == 1_764_000_000_000
    assert get("okx", "/api/v5/market/ticker?instId=BTC-USDT")[1]["data"][0]["ts"] == "1764000000123"
    assert get("coinpaprika", "/v1/tickers/btc-bitcoin")[1]["last_updated"] == "2025-11-24T16:00:00Z"


def test_only_the_answer_of_coingecko_comes_from_a_cache_and_tells_its_age() -> None:
    old = Ticker(SAID.last, SAID.bid, SAID.ask, NOW - 37_900)
    ages = {name: answer(source, old).headers.get("Age") for name, source in SOURCES.items()}
    assert {name: age for name, age in ages.items() if age} == {"coingecko": "37"}


@pytest.mark.parametrize("name", SOURCES)
def test_every_answer_is_declared_as_json(name: str) -> None:
    assert answer(SOURCES[name]).headers["Content-Type"].startswith("application/json")
