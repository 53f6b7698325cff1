"""The sources of the USDT/USD rate: Kraken's and Coinbase's markets."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.exchanges import coinbase, kraken
from btc_price_tracker.sources.quoting import Band

_BAND = Band(Decimal("0.5"), Decimal("1.5"))


def parse_kraken(body: bytes) -> Quote:
    """Read dollars per tether. Raises SourceError, also if the peg is too far off to trust a rate."""
    return kraken.ticker(body, ("USDTZUSD", "USDTUSD"), _BAND)


def parse_coinbase(body: bytes) -> Quote:
    """Read dollars per tether. Raises SourceError, as `parse_kraken`."""
    return coinbase.ticker(body, _BAND)


_KRAKEN = SourceDefinition(
    name="tether",
    kind=Kind.EXCHANGE,
    url=kraken.KRAKEN.url,
    path="/0/public/Ticker?pair=USDTZUSD",
    parse=parse_kraken,
    api="kraken",
)
_COINBASE = SourceDefinition(
    name="tether_coinbase",
    kind=Kind.EXCHANGE,
    url=coinbase.COINBASE.url,
    path="/products/USDT-USD/ticker",
    parse=parse_coinbase,
    api="coinbase",
)

# By the exchange that gives the rate, in order of preference.
TETHERS: Mapping[str, SourceDefinition] = MappingProxyType({"kraken": _KRAKEN, "coinbase": _COINBASE})
