"""Bitfinex, version 2: arrays of numbers, errors too. No time, and the body doesn't name the pair."""

from btc_price_tracker.errors import InvalidQuote
from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import read, refusal
from btc_price_tracker.sources.quoting import quote

_FIELDS = 10
_RATE_LIMIT_CODE = "11010"


def parse(body: bytes) -> Quote:
    """Read `[bid, bid size, ask, ask size, change, relative change, last, volume, high, low]`.

    A row of the plural endpoint is one longer: it begins with the symbol, which shifts every field.
    Errors are `["error", 11010, "ratelimit: error"]`, or `{"error": "ERR_RATE_LIMIT"}` from version 1.
    Raises SourceError.
    """
    root = read(body)
    if isinstance(root.value, dict) and not root["error"].absent:
        raise refusal(root["error"])
    if root[0].value == "error":
        raise refusal(root[1], root[2], rate_limited=root[1].value == _RATE_LIMIT_CODE)
    if len(root.items()) != _FIELDS:
        raise InvalidQuote(f"the body is not an array of {_FIELDS} numbers")
    return quote(last=root[6], bid=root[0], ask=root[2])


BITFINEX = SourceDefinition(
    name="bitfinex",
    kind=Kind.EXCHANGE,
    url="https://api-pub.bitfinex.com",
    path="/v2/ticker/tBTCUSD",
    parse=parse,
)
