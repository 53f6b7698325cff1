"""Potentially erroneous data: an exchange far from the others is excluded until it is well within again.

The outer limit and the hysteresis are those published for the CME CF Bitcoin Real Time Index; the limit is narrower
where more than half of the others agree closely. Why an honest exchange is then never excluded by a faulty minority:
docs/decisions/consensus.md.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from btc_price_tracker.price.parameters import CLOSE, EXCLUDE, EXCLUDE_CLOSE, EXCLUDE_GAPS, READMIT_ROUNDS
from btc_price_tracker.price.voices import Prices, middle_of, prices_by_voice
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
        """Assess the fresh exchanges of this round, each of which has a voice."""
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

    def replay(self, excluded: Collection[str]) -> None:
        """Resume from a stored round, after which these were excluded; its review has still to be repeated."""
        for name in excluded:
            self._rounds_back.setdefault(name, 0)

    def lapse(self) -> None:
        """Forget the excluded: there is no price any more by which they were."""
        self._rounds_back.clear()


def _voices(sources: Iterable[str], voices: Mapping[str, str]) -> set[str]:
    return {voices[source] for source in sources}


def _outliers(admitted: Prices, voices: Mapping[str, str]) -> frozenset[str]:
    """Those beyond the outer limit, by a median that includes the one assessed, or far from an agreeing majority.

    Without it, the median of {100, 100, 200} would give the honest ones 150.
    """
    if not admitted:
        return frozenset()
    middle = middle_of(admitted, voices)
    by_voice = prices_by_voice(admitted, voices)
    return frozenset(
        name
        for name, price in admitted.items()
        if not near(price, middle, EXCLUDE)
        or _is_far_from_majority(price, [each for voice, each in by_voice.items() if voice != voices[name]])
    )


def _is_far_from_majority(price: Fraction, others: list[Fraction]) -> bool:
    """Whether more than half of all voices agree closely, and the price is far from each of these."""
    majority, others = (len(others) + 1) // 2 + 1, sorted(others)
    return any(
        _is_far(price, others[start], others[start + majority - 1])
        for start in range(len(others) - majority + 1)
    )


def _is_far(price: Fraction, lowest: Fraction, highest: Fraction) -> bool:
    gap = highest / lowest - 1
    nearest = max(lowest - price, price - highest) / lowest
    return gap <= CLOSE and nearest > max(EXCLUDE_CLOSE, EXCLUDE_GAPS * gap)


def _is_well_within(price: Fraction, others: Prices, voices: Mapping[str, str]) -> bool:
    """Within half of the limit that would exclude it now."""
    if not others:
        return False
    by_voice = prices_by_voice(others, voices).values()
    gap = max(by_voice) / min(by_voice) - 1
    limit = min(max(EXCLUDE_CLOSE, EXCLUDE_GAPS * gap), EXCLUDE)
    return abs(price / middle_of(others, voices) - 1) < limit / 2
