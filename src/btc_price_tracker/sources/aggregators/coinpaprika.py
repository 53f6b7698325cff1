"""CoinPaprika: an aggregator. Keyless calls are counted by the month, 20,000 to an IP."""

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import read, refusal
from btc_price_tracker.sources.quoting import quote, rfc3339


def parse(body: bytes) -> Quote:
    """Read `{"id": "btc-bitcoin", "last_updated": "2023-07-11T08:40:17Z", "quotes": {"USD": {"price": …}}}`.

    Errors are `{"error": "…"}`. Raises SourceError.
    """
    answer = read(body)
    if not answer["error"].absent:
        raise refusal(answer["error"])
    answer["id"].must_be("btc-bitcoin")
    return quote(answer["quotes"]["USD"]["price"], time=rfc3339(answer["last_updated"]))


COINPAPRIKA = SourceDefinition(
    name="coinpaprika",
    kind=Kind.AGGREGATOR,
    url="https://api.coinpaprika.com",
    path="/v1/tickers/btc-bitcoin",
    parse=parse,
)
