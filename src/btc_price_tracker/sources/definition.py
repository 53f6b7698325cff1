"""What defines a source: an address, and a pure function from the body of a response to a quote."""

from collections.abc import Callable
from dataclasses import dataclass

from btc_price_tracker.price.model import Kind, Quote


@dataclass(frozen=True, slots=True)
class SourceDefinition:
    """A public API that gives a Bitcoin price, or an exchange rate, without an account."""

    name: str
    kind: Kind
    url: str  # the public API's base, no trailing slash; settings may replace it
    path: str  # path and query, as the API has them
    parse: Callable[[bytes], Quote]  # raises SourceError on anything that is no price
    currency: str = "USD"  # what its prices are in: USD or USDT
    api: str = ""  # the source whose API this is as well: they share its rate limit and its clock
