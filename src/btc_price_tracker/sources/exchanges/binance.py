"""Binance, through its mirror for market data, which needs no key. Its prices are in tethers."""

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import read, refusal
from btc_price_tracker.sources.quoting import milliseconds, quote

_RATE_LIMIT_CODE = "-1003"


def parse(body: bytes) -> Quote:
    """Read Bitcoin in tethers. Raises SourceError."""
    return ticker(body, "BTCUSDT")


def ticker(body: bytes, symbol: str) -> Quote:
    """Read the 24 h ticker `{"symbol": …, "lastPrice": …, "bidPrice": …, "askPrice": …, "closeTime": ms, …}`.

    Errors are `{"code": -1121, "msg": "Invalid symbol."}`; a geo-block has code 0. Raises SourceError.
    """
    root = read(body)
    code = root["code"]
    if not code.absent:
        raise refusal(code, root["msg"], rate_limited=code.value == _RATE_LIMIT_CODE)
    root["symbol"].must_be(symbol)
    time = milliseconds(root["closeTime"])
    return quote(root["lastPrice"], root["bidPrice"], root["askPrice"], time=time)


BINANCE = SourceDefinition(
    name="binance",
    kind=Kind.EXCHANGE,
    url="https://data-api.binance.vision",
    path="/api/v3/ticker/24hr?symbol=BTCUSDT",
    parse=parse,
    currency="USDT",
)
