"""blockchain.info: an aggregator. `buy` and `sell` always equal `last`, so they are no book. No time."""

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import read, refusal
from btc_price_tracker.sources.quoting import quote


def parse(body: bytes) -> Quote:
    """Read `{"USD": {"last": 63410.18, "symbol": "USD", …}, "EUR": …}`; large numbers come as 9.083198811E7.

    Errors are taken to be `{"error": "…"}`; none is on record. Raises SourceError.
    """
    answer = read(body)
    if not answer["error"].absent:
        raise refusal(answer["error"], answer["message"])
    dollars = answer["USD"]
    dollars["symbol"].must_be("USD")
    return quote(dollars["last"])


BLOCKCHAIN_INFO = SourceDefinition(
    name="blockchain_info",
    kind=Kind.AGGREGATOR,
    url="https://blockchain.info",
    path="/ticker",
    parse=parse,
)
