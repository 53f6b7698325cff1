"""CoinGecko: an aggregator, the average of many markets, 20 to 60 s old. Keyless requests are few."""

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import JsonNode, read, refusal
from btc_price_tracker.sources.quoting import quote, seconds


def parse(body: bytes) -> Quote:
    """Read `{"bitcoin": {"usd": 76975, "last_updated_at": 1779092258, …}}`.

    The time is present only if requested. The response for an unknown currency is an empty object.
    Raises SourceError.
    """
    root = read(body)
    _refuse(root)
    bitcoin = root["bitcoin"]
    return quote(bitcoin["usd"], time=seconds(bitcoin["last_updated_at"]))


def _refuse(root: JsonNode) -> None:
    """Raise the error in any of the source's four shapes.

    `{"status": {"error_code": 429, "error_message": "…"}}`, the same inside `error`, `{"error": "…"}`, and
    `{"status": 500, "error": "…"}`.
    """
    error = root["error"]
    status = error["status"] if isinstance(error.value, dict) else root["status"]
    if isinstance(status.value, dict):
        code = status["error_code"]
        raise refusal(code, status["error_message"], rate_limited=code.value == "429")
    if not (error.absent and status.absent):
        raise refusal(status, error, rate_limited=status.value == "429")


COINGECKO = SourceDefinition(
    name="coingecko",
    kind=Kind.AGGREGATOR,
    url="https://api.coingecko.com",
    path=(
        "/api/v3/simple/price?ids=bitcoin&vs_currencies=usd&include_24hr_vol=true&include_24hr_change=true"
        "&include_market_cap=true&include_last_updated_at=true&precision=2"
    ),
    parse=parse,
)
