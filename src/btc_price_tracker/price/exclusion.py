"""Potentially erroneous data: an exchange far from the median is excluded until it is well within again.

Thresholds and hysteresis are those published for the CME CF Bitcoin Real Time Index.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from btc_price_tracker.price.parameters import EXCLUDE, READMIT, READMIT_ROUNDS
from btc_price_tracker.price.voices import Prices, middle_of
from btc_price_tracker.price.votes import near


class Eligibility(NamedTuple):
    """Which exchanges may vote; `split` where half or more would be excluded: then no side is known to be right."""

    admitted: frozenset[str]
    split: bool


@dataclass(slots=True)
class Exclusion:
    """Remembers the excluded, and for how many rounds in a row each has been back within reach."""

    _rounds_back: dict[str, int] = field(default_factory=dict)

    def review(self, prices: Prices, voices: Mapping[str, str]) -> Eligibility:
        """Assess the fresh exchanges of this round, each of which has a voice.

        The median includes the one that is assessed: without it {100, 100, 200} would give the honest ones 150.
        """
        admitted = {name: price for name, price in prices.items() if name not in self._rounds_back}
        outliers = _outliers(admitted, voices)
        lost = _voices(admitted, voices) - _voices(admitted.keys() - outliers, voices)
        split = bool(outliers) and 2 * len(lost) >= len(_voices(admitted, voices))
        others = {} if split else {name: admitted[name] for name in admitted.keys() - outliers}
        self._rounds_back |= {} if split else dict.fromkeys(outliers, 0)
        self._readmit(prices, others, voices)
        return Eligibility(frozenset(prices.keys() - self._rounds_back.keys()), split)

    def _readmit(self, prices: Prices, others: Prices, voices: Mapping[str, str]) -> None:
        """Count the rounds, by the median of the admitted others; where there are none, none is back."""
        for name in list(self._rounds_back):
            is_back = name in prices and _is_well_within(prices[name], others, voices)
            self._rounds_back[name] = self._rounds_back[name] + 1 if is_back else 0
            if self._rounds_back[name] == READMIT_ROUNDS:
                del self._rounds_back[name]

    def lapse(self) -> None:
        """Forget the excluded: there is no price any more by which they were."""
        self._rounds_back.clear()


def _voices(sources: Iterable[str], voices: Mapping[str, str]) -> set[str]:
    return {voices[source] for source in sources}


def _outliers(admitted: Prices, voices: Mapping[str, str]) -> frozenset[str]:
    if not admitted:
        return frozenset()
    middle = middle_of(admitted, voices)
    return frozenset(name for name, price in admitted.items() if not near(price, middle, EXCLUDE))


def _is_well_within(price: Fraction, others: Prices, voices: Mapping[str, str]) -> bool:
    if not others:
        return False
    middle = middle_of(others, voices)
    return abs(price - middle) < READMIT * middle
