"""Bitstamp. Block pages of its CDN are HTML. The body doesn't name the pair."""

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import read, refusal
from btc_price_tracker.sources.quoting import quote, seconds

_RATE_LIMIT_CODES = ("400.002", "400.067", "400.068")


def parse(body: bytes) -> Quote:
    """Read `{"last": "4402.16", "bid": "4401.37", "ask": "4412.98", "timestamp": "1507003445", …}`.

    Errors are `{"error": "…"}` or `{"status": "error", "reason": "…", "code": "…"}`. Raises SourceError.
    """
    root = read(body)
    if not root["error"].absent or root["status"].value == "error":
        code = root["code"]
        raise refusal(root["error"], root["reason"], code, rate_limited=code.value in _RATE_LIMIT_CODES)
    return quote(root["last"], root["bid"], root["ask"], time=seconds(root["timestamp"]))


BITSTAMP = SourceDefinition(
    name="bitstamp",
    kind=Kind.EXCHANGE,
    url="https://www.bitstamp.net",
    path="/api/v2/ticker/btcusd/",
    parse=parse,
)
