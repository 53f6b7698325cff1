"""Binance.US: Binance's format, prices in US dollars. A side without orders is 0.00."""

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.exchanges import binance


def parse(body: bytes) -> Quote:
    """Read Bitcoin in US dollars. Raises SourceError."""
    return binance.ticker(body, "BTCUSD")


BINANCEUS = SourceDefinition(
    name="binanceus",
    kind=Kind.EXCHANGE,
    url="https://api.binance.us",
    path="/api/v3/ticker/24hr?symbol=BTCUSD",
    parse=parse,
)
