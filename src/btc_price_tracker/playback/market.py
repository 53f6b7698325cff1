"""What the venues say at a moment, and the market that is a script."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from btc_price_tracker.price.model import CENT, Quote

TETHER = "tether"  # the market name of Kraken's USDT/USD pair
TETHER_COINBASE = "tether_coinbase"  # and of Coinbase's
HALF_BASIS_POINT = Decimal("0.00005")
FINE = Decimal("0.00001")  # the price step of a pair worth about a dollar


class Ticker(Struct, frozen=True):
    """The content of a venue's ticker: dollars (or tethers), and its own time in ms since the epoch."""

    last: Decimal
    bid: Decimal
    ask: Decimal
    time: int

    def scaled(self, factor: Decimal) -> "Ticker":
        """The same ticker with every price multiplied, exactly."""
        return Ticker(self.last * factor, self.bid * factor, self.ask * factor, self.time)


class Market(Protocol):
    """Gives each venue's ticker, by the name of the source, or TETHER for its USDT/USD."""

    def ticker(self, name: str, now: int) -> Ticker | None:
        """The venue's ticker at `now` (wall time, ms); None while it is silent."""


def ticker(quote: Quote, now: int) -> Ticker:
    """A quote with what it leaves open computed: bid and ask around the last price, the time as now."""
    half = half_spread(quote.last)
    return Ticker(
        last=quote.last,
        bid=quote.last - half if quote.bid is None else quote.bid,
        ask=quote.last + half if quote.ask is None else quote.ask,
        time=now if quote.time is None else quote.time,
    )


def half_spread(price: Decimal) -> Decimal:
    """Half a basis point of the price, in whole price steps."""
    step = CENT if price >= 100 else FINE
    return (price * HALF_BASIS_POINT).quantize(step)


class Script:
    """A market whose `quotes` can be changed at any time; a venue without one is silent."""

    def __init__(self, quotes: Mapping[str, Quote] | None = None) -> None:
        self.quotes: dict[str, Quote] = dict(quotes or {})

    def ticker(self, name: str, now: int) -> Ticker | None:
        """The quote set for this name, completed; None where there is none."""
        quote = self.quotes.get(name)
        return None if quote is None else ticker(quote, now)
