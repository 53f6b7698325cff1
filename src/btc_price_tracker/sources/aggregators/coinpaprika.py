"""CoinPaprika: an aggregator. Its keyless quota is 20,000 requests a month for an IP address."""

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import read, refusal
from btc_price_tracker.sources.quoting import quote, rfc3339


def parse(body: bytes) -> Quote:
    """Read `{"id": "btc-bitcoin", "last_updated": "2023-07-11T08:40:17Z", "quotes": {"USD": {"price": …}}}`.

    Errors are `{"error": "…"}`. Raises SourceError.
    """
    root = read(body)
    if not root["error"].absent:
        raise refusal(root["error"])
    root["id"].must_be("btc-bitcoin")
    return quote(root["quotes"]["USD"]["price"], time=rfc3339(root["last_updated"]))


COINPAPRIKA = SourceDefinition(
    name="coinpaprika",
    kind=Kind.AGGREGATOR,
    url="https://api.coinpaprika.com",
    path="/v1/tickers/btc-bitcoin",
    parse=parse,
)
