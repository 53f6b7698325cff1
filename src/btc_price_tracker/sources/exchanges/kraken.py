"""Kraken. No time in the body; its name for the pair differs from the requested one; errors have status 200."""

from btc_price_tracker.errors import InvalidQuote
from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import JsonNode, read, refusal
from btc_price_tracker.sources.quoting import BITCOIN, Band, quote


def parse(body: bytes) -> Quote:
    """Read Bitcoin in US dollars. Raises SourceError."""
    return ticker(body, ("XXBTZUSD", "XBTUSD"), BITCOIN)


def ticker(body: bytes, pairs: tuple[str, ...], band: Band) -> Quote:
    """Read `{"error": [], "result": {"XXBTZUSD": {"a": [ask, …], "b": [bid, …], "c": [last, …], …}}}`.

    The result must be of one pair, by one of the names given. Raises SourceError.
    """
    root = read(body)
    _refuse(root["error"])
    result = root["result"]
    names = list(result.fields())
    if len(names) != 1 or names[0] not in pairs:
        raise InvalidQuote(f"the result isn't for {' or '.join(pairs)} alone")
    market = result[names[0]]
    return quote(market["c"][0], market["b"][0], market["a"][0], band=band)


def _refuse(errors: JsonNode) -> None:
    """Raise the errors of a list like `["EGeneral:Too many requests"]`; texts that begin with W are warnings."""
    if errors.absent:
        return
    texts = [errors.value] if isinstance(errors.value, str) else errors.items()
    serious = [error for error in texts if not (isinstance(error, str) and error.startswith("W"))]
    if serious:
        raise refusal(*map(JsonNode, serious[:3]))


KRAKEN = SourceDefinition(
    name="kraken",
    kind=Kind.EXCHANGE,
    url="https://api.kraken.com",
    path="/0/public/Ticker?pair=XBTUSD",
    parse=parse,
)
