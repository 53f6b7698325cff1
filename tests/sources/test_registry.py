from urllib.parse import urlsplit

import pytest

from btc_price_tracker.price.model import Kind
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.tether import TETHERS


def test_the_registry_has_every_source_in_fixed_order() -> None:
    assert list(SOURCES) == [
        "coingecko",
        "coinbase",
        "kraken",
        "bitstamp",
        "gemini",
        "binance",
        "binanceus",
        "bitfinex",
        "okx",
        "coinpaprika",
        "blockchain_info",
    ]
    assert all(source.name == name for name, source in SOURCES.items())


def test_the_registry_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        SOURCES["mine"] = TETHERS["kraken"]  # type: ignore[index]


def test_aggregators_are_marked_as_such() -> None:
    aggregators = {name for name, source in SOURCES.items() if source.kind is Kind.AGGREGATOR}
    assert aggregators == {"coingecko", "coinpaprika", "blockchain_info"}


def test_only_binance_and_okx_quote_in_tethers() -> None:
    assert {name for name, source in SOURCES.items() if source.currency == "USDT"} == {"binance", "okx"}


@pytest.mark.parametrize(
    ("exchange", "path"),
    [("kraken", "/0/public/Ticker?pair=USDTZUSD"), ("coinbase", "/products/USDT-USD/ticker")],
)
def test_tether_rates_are_not_in_the_registry(exchange: str, path: str) -> None:
    source = TETHERS[exchange]
    assert (source.url, source.path) == (SOURCES[exchange].url, path)
    assert source.name not in SOURCES


@pytest.mark.parametrize("source", [*SOURCES.values(), *TETHERS.values()], ids=lambda source: source.name)
def test_base_urls_have_no_trailing_slash(source: SourceDefinition) -> None:
    base = urlsplit(source.url)
    assert base.scheme == "https"
    assert base.path == base.query == ""
    assert source.path.startswith("/")
