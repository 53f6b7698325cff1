"""The live rate of Tether, which converts the prices of USDT markets to dollars, and which source it rests on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from msgspec import structs

from btc_price_tracker.clock import Clock
from btc_price_tracker.price.freshness import age
from btc_price_tracker.price.model import Answer
from btc_price_tracker.sources.source import Source

MAX_AGE = 120_000  # ms that a rate may be used
TOLERANCE = Decimal("0.003")  # of the rate, within which two sources of it agree


class Rate(NamedTuple):
    """US dollars per tether, and the only source that gives it; None where a second one confirms it."""

    dollars: Decimal
    source: str | None


@dataclass(frozen=True, slots=True)
class Rates:
    """The sources of the rate, in order of preference, by the name of the exchange whose rate it is."""

    sources: Mapping[str, Source]
    clock: Clock

    def convert(self, answers: Iterable[Answer]) -> list[Answer]:
        """Return the answers, those in tethers with the current rate."""
        rate = self.current()
        if rate is None:
            return list(answers)
        return [
            structs.replace(answer, rate=rate.dollars, rate_from=rate.source)
            if answer.currency == "USDT"
            else answer
            for answer in answers
        ]

    def current(self) -> Rate | None:
        """Return the rate of the first source that has a recent one; None where none has."""
        live = {name: dollars for name in self.sources if (dollars := self._dollars(name)) is not None}
        if not live:
            return None
        (source, dollars), *others = live.items()
        is_confirmed = any(abs(other - dollars) <= TOLERANCE * dollars for _, other in others)
        return Rate(dollars, None if is_confirmed else source)

    def _dollars(self, name: str) -> Decimal | None:
        return _middle(self.sources[name].answer(), self.clock.now())


def _middle(answer: Answer, now: int) -> Decimal | None:
    """Return the middle of the book if there is one, else the last trade; None where it is too old."""
    quote = answer.quote
    if quote is None or age(quote.time, answer.received_at, now) > MAX_AGE:
        return None
    return quote.last if quote.bid is None or quote.ask is None else (quote.bid + quote.ask) / 2
