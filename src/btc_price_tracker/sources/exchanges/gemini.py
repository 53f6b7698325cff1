"""Gemini. No time: `volume.timestamp` is the hour that the volume belongs to, not the time of the quote."""

from btc_price_tracker.errors import InvalidQuote
from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import read, refusal
from btc_price_tracker.sources.quoting import quote


def parse(body: bytes) -> Quote:
    """Read `{"bid": "4407.81", "ask": "4407.82", "last": "4407.82", "volume": {"BTC": "…", "USD": "…", …}}`.

    Only the volume's fields name the pair.
    Errors are `{"result": "error", "reason": "RateLimit", "message": "…"}`. Raises SourceError.
    """
    root = read(body)
    if root["result"].value == "error":
        raise refusal(root["reason"], root["message"])
    volume = root["volume"]
    if not volume.absent and (volume["BTC"].absent or volume["USD"].absent):
        raise InvalidQuote("the volume isn't in BTC and USD, so this is another pair")
    return quote(root["last"], root["bid"], root["ask"])


GEMINI = SourceDefinition(
    name="gemini",
    kind=Kind.EXCHANGE,
    url="https://api.gemini.com",
    path="/v1/pubticker/btcusd",
    parse=parse,
)
