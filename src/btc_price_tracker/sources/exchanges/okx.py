"""OKX. Its prices are in tethers; errors are objects with a code other than "0", whatever the status."""

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import read, refusal
from btc_price_tracker.sources.quoting import milliseconds, quote

_GOOD = "0"
_RATE_LIMIT_CODE = "50011"


def parse(body: bytes) -> Quote:
    """Read `{"code": "0", "data": [{"instId": "BTC-USDT", "last": …, "bidPx": …, "askPx": …, "ts": ms, …}]}`.

    Raises SourceError.
    """
    root = read(body)
    code = root["code"]
    if not code.absent and code.value != _GOOD:
        raise refusal(code, root["msg"], rate_limited=code.value == _RATE_LIMIT_CODE)
    market = root["data"][0]
    market["instId"].must_be("BTC-USDT")
    return quote(market["last"], market["bidPx"], market["askPx"], time=milliseconds(market["ts"]))


OKX = SourceDefinition(
    name="okx",
    kind=Kind.EXCHANGE,
    url="https://www.okx.com",
    path="/api/v5/market/ticker?instId=BTC-USDT",
    parse=parse,
    currency="USDT",
)
