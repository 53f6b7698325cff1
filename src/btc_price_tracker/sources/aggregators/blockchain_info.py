"""blockchain.info: an aggregator. `buy` and `sell` always equal `last`, so they are no book. No time."""

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.parsing import read, refusal
from btc_price_tracker.sources.quoting import quote


def parse(body: bytes) -> Quote:
    """Read `{"USD": {"last": 63410.18, "symbol": "USD", …}, "EUR": …}`; large numbers come as 9.083198811E7.

    Errors are assumed to be `{"error": "…"}`; none has been recorded. Raises SourceError.
    """
    root = read(body)
    if not root["error"].absent:
        raise refusal(root["error"], root["message"])
    dollars = root["USD"]
    dollars["symbol"].must_be("USD")
    return quote(dollars["last"])


BLOCKCHAIN_INFO = SourceDefinition(
    name="blockchain_info",
    kind=Kind.AGGREGATOR,
    url="https://blockchain.info",
    path="/ticker",
    parse=parse,
)
