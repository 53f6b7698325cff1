"""The live rate of Tether, which turns the prices of USDT venues into dollars, and who vouches for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from btc_price_tracker.clock import Clock
from btc_price_tracker.price.freshness import age
from btc_price_tracker.price.model import Answer
from btc_price_tracker.sources.upstream import Upstream

LASTS = 120_000  # ms that a rate may be used
AGREE = Decimal("0.003")  # two sources of the rate agree within this part of it


class Rate(NamedTuple):
    """US dollars per tether, and the source that alone gives it; None where a second one confirms it."""

    dollars: Decimal
    source: str | None


@dataclass(frozen=True, slots=True)
class Rates:
    """The sources of the rate, in order of preference, by the name of the exchange whose rate it is."""

    upstreams: Mapping[str, Upstream]
    clock: Clock

    def current(self) -> Rate | None:
        """The first source's rate; None where there is none that is recent enough."""
        live = {name: dollars for name in self.upstreams if (dollars := self._dollars(name)) is not None}
        if not live:
            return None
        (source, dollars), *others = live.items()
        is_confirmed = any(abs(other - dollars) <= AGREE * dollars for _, other in others)
        return Rate(dollars, None if is_confirmed else source)

    def _dollars(self, name: str) -> Decimal | None:
        return _middle(self.upstreams[name].answer(), self.clock.now())


def _middle(answer: Answer, now: int) -> Decimal | None:
    """The middle of the book if there is one, else the last trade; None where it is too old to go by."""
    quote = answer.quote
    if quote is None or age(quote.time, answer.received_at, now) > LASTS:
        return None
    return quote.last if quote.bid is None or quote.ask is None else (quote.bid + quote.ask) / 2
