"""Coinbase Exchange. `time` is that of the last trade. The body doesn't name the pair."""

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import read, refusal
from btc_price_tracker.sources.quoting import BITCOIN, Band, quote, rfc3339


def parse(body: bytes) -> Quote:
    """Read Bitcoin in US dollars. Raises SourceError."""
    return ticker(body, BITCOIN)


def ticker(body: bytes, band: Band) -> Quote:
    """Read `{"price": "4417.01000000", "bid": "4417", "ask": "4417.01", "time": "2017-10-03T04:00:31.887Z"}`.

    Errors are `{"message": "…"}`. Raises SourceError.
    """
    root = read(body)
    if not root["message"].absent:
        raise refusal(root["message"])
    return quote(root["price"], root["bid"], root["ask"], time=rfc3339(root["time"]), band=band)


COINBASE = SourceDefinition(
    name="coinbase",
    kind=Kind.EXCHANGE,
    url="https://api.exchange.coinbase.com",
    path="/products/BTC-USD/ticker",
    parse=parse,
)
