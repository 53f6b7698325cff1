"""The live rate of Tether from Kraken, which turns the prices of USDT venues into dollars: no Bitcoin."""

from decimal import Decimal

from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources import kraken
from btc_price_tracker.sources.quoting import Band
from btc_price_tracker.sources.source import Source

_BAND = Band(Decimal("0.5"), Decimal("1.5"))


def parse(body: bytes) -> Quote:
    """Read dollars per tether. Raises SourceFault, also where the peg is too far gone to trust a rate."""
    return kraken.ticker(body, ("USDTZUSD", "USDTUSD"), _BAND)


TETHER = Source(
    name="tether",
    kind=Kind.EXCHANGE,
    url=kraken.KRAKEN.url,
    path="/0/public/Ticker?pair=USDTZUSD",
    parse=parse,
)
