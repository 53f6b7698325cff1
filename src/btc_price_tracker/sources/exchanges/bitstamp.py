"""Bitstamp. Block pages of its CDN are HTML. The body doesn't name the pair."""

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import read, refusal
from btc_price_tracker.sources.quoting import quote, seconds

_TOO_OFTEN = ("400.002", "400.067", "400.068")


def parse(body: bytes) -> Quote:
    """Read `{"last": "4402.16", "bid": "4401.37", "ask": "4412.98", "timestamp": "1507003445", …}`.

    Errors are `{"error": "…"}` or `{"status": "error", "reason": "…", "code": "…"}`. Raises SourceError.
    """
    answer = read(body)
    if not answer["error"].absent or answer["status"].value == "error":
        code = answer["code"]
        raise refusal(answer["error"], answer["reason"], code, throttled=code.value in _TOO_OFTEN)
    return quote(answer["last"], answer["bid"], answer["ask"], time=seconds(answer["timestamp"]))


BITSTAMP = SourceDefinition(
    name="bitstamp",
    kind=Kind.EXCHANGE,
    url="https://www.bitstamp.net",
    path="/api/v2/ticker/btcusd/",
    parse=parse,
)
