"""Potentially erroneous data: an exchange far from the others is excluded until it is well within again.

The outer limit and the hysteresis are those published for the CME CF Bitcoin Real Time Index; the limit is narrower
where more than half of the others agree closely. Why an honest exchange is then never excluded by a faulty minority:
docs/decisions/consensus.md.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from btc_price_tracker.price.parameters import CLOSE, EXCLUDE, EXCLUDE_CLOSE, EXCLUDE_GAPS, READMIT_ROUNDS
from btc_price_tracker.price.voices import Prices, middle_of, prices_by_voice
from btc_price_tracker.price.votes import near


class Eligibility(NamedTuple):
    """Which exchanges may vote, and which are far from the others now.

    `split` where half or more would be beyond the outer limit: then no side is known to be right.
    """

    admitted: frozenset[str]
    far: frozenset[str]
    split: bool


@dataclass(slots=True)
class Exclusion:
    """Remembers the excluded, and for how many rounds in a row each has been back within reach."""

    _rounds_back: dict[str, int] = field(default_factory=dict)

    def review(self, prices: Prices, voices: Mapping[str, str]) -> Eligibility:
        """Assess the fresh exchanges of this round, each of which has a voice."""
        far = _far_from_majority(prices, voices)
        candidates = {
            name: price for name, price in prices.items() if name not in self._rounds_back and name not in far
        }
        outliers = _beyond_outer_limit(candidates, candidates, voices)
        lost = _voices(candidates, voices) - _voices(candidates.keys() - outliers, voices)
        split = bool(outliers) and 2 * len(lost) >= len(_voices(candidates, voices))
        others = {} if split else {name: candidates[name] for name in candidates.keys() - outliers}
        if not split:
            far |= _beyond_outer_limit(prices, others, voices)
        far |= _isolated(prices, voices) & self._rounds_back.keys()
        self._rounds_back |= dict.fromkeys(far - self._rounds_back.keys(), 0)
        self._readmit(prices, others, voices)
        return Eligibility(frozenset(prices.keys() - self._rounds_back.keys()), far, split)

    def _readmit(self, prices: Prices, others: Prices, voices: Mapping[str, str]) -> None:
        """Count the rounds, by the median of the admitted others; where there are none, none is back."""
        for name in list(self._rounds_back):
            is_back = name in prices and _is_well_within(prices[name], others, voices)
            self._rounds_back[name] = self._rounds_back[name] + 1 if is_back else 0
            if self._rounds_back[name] == READMIT_ROUNDS:
                del self._rounds_back[name]

    def replay(self, excluded: AbstractSet[str]) -> None:
        """Resume from a stored round, after which these were excluded; its review has still to be repeated."""
        for name in excluded:
            self._rounds_back.setdefault(name, 0)

    def lapse(self) -> None:
        """Forget the excluded: there is no price any more by which they were."""
        self._rounds_back.clear()


def _voices(sources: Iterable[str], voices: Mapping[str, str]) -> set[str]:
    return {voices[source] for source in sources}


def _far_from_majority(prices: Prices, voices: Mapping[str, str]) -> frozenset[str]:
    """Those far from a majority that agrees closely.

    It is one of all fresh voices, whatever they did before: so one of it is honest while a minority is faulty now.
    """
    by_voice = prices_by_voice(prices, voices)
    majority = len(by_voice) // 2 + 1
    return frozenset(
        name
        for name, price in prices.items()
        if _is_far_from_majority(
            price, [each for voice, each in by_voice.items() if voice != voices[name]], majority
        )
    )


def _beyond_outer_limit(prices: Prices, others: Prices, voices: Mapping[str, str]) -> frozenset[str]:
    """Those farther than EXCLUDE from the median of the others, which may include the one assessed."""
    if not others:
        return frozenset()
    middle = middle_of(others, voices)
    return frozenset(name for name, price in prices.items() if not near(price, middle, EXCLUDE))


def _isolated(prices: Prices, voices: Mapping[str, str]) -> frozenset[str]:
    """Those with no other voice near them. An honest one has an honest one near it."""
    by_voice = prices_by_voice(prices, voices)
    return frozenset(
        name
        for name, price in prices.items()
        if not any(
            near(other, price, EXCLUDE_CLOSE) for voice, other in by_voice.items() if voice != voices[name]
        )
    )


def _is_far_from_majority(price: Fraction, others: list[Fraction], majority: int) -> bool:
    """Whether so many of the others agree closely, and the price is far from each of these."""
    others = sorted(others)
    ends = zip(others, others[majority - 1 :], strict=False)
    return any(_is_far(price, lowest, highest) for lowest, highest in ends)


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
