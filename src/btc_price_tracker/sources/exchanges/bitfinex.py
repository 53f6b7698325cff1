"""Bitfinex, version 2: arrays of numbers, errors too. No time, and the body doesn't name the pair."""

from btc_price_tracker.errors import InvalidQuote
from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import read, refusal
from btc_price_tracker.sources.quoting import quote

_FIELDS = 10
_TOO_OFTEN = "11010"


def parse(body: bytes) -> Quote:
    """Read `[bid, bid size, ask, ask size, change, relative change, last, volume, high, low]`.

    A row of the plural endpoint is one longer: it begins with the symbol, which shifts every field.
    Errors are `["error", 11010, "ratelimit: error"]`, or `{"error": "ERR_RATE_LIMIT"}` from version 1.
    Raises SourceError.
    """
    answer = read(body)
    if isinstance(answer.value, dict) and not answer["error"].absent:
        raise refusal(answer["error"])
    if answer[0].value == "error":
        raise refusal(answer[1], answer[2], throttled=answer[1].value == _TOO_OFTEN)
    if len(answer.items()) != _FIELDS:
        raise InvalidQuote(f"the body is not an array of {_FIELDS} numbers")
    return quote(last=answer[6], bid=answer[0], ask=answer[2])


BITFINEX = SourceDefinition(
    name="bitfinex",
    kind=Kind.EXCHANGE,
    url="https://api-pub.bitfinex.com",
    path="/v2/ticker/tBTCUSD",
    parse=parse,
)
