"""Sources that repeat themselves: the quote and its time stand still while the market moves."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from btc_price_tracker.price.model import Answer, Quote
from btc_price_tracker.price.parameters import FROZEN_MOVE, FROZEN_POLLS
from btc_price_tracker.price.voices import Prices, prices_by_voice
from btc_price_tracker.price.votes import near


@dataclass(slots=True)
class _Sighting:
    """The first time that a quote was received, and how often it has been repeated since."""

    quote: Quote
    received_at: int
    others: Prices  # the prices of the other voices then
    repeats: int = 0
    is_frozen: bool = False  # until the quote changes, also where the market comes back to where it was


@dataclass(slots=True)
class FrozenWatch:
    """Remembers of each exchange since when its quote has been the same.

    A market may rest, so standing still is a fault only while most of the other voices, and two at least, have each
    moved by more than 10 bp. That takes a majority: a liar can't make honest exchanges look frozen.
    """

    _seen: dict[str, _Sighting] = field(default_factory=dict)

    def review(self, answers: Iterable[Answer], prices: Prices, voices: Mapping[str, str]) -> frozenset[str]:
        """Which of the sources with a price are frozen, after this round."""
        by_voice = prices_by_voice(prices, voices)
        return frozenset(
            answer.source
            for answer in answers
            if answer.source in prices and answer.quote is not None
            if self._is_frozen(
                answer.source, answer.quote, answer.received_at, _without(by_voice, voices[answer.source])
            )
        )

    def replay(self, frozen: AbstractSet[str]) -> None:
        """Resume from a stored round, after whose review these were frozen."""
        for name in frozen & self._seen.keys():
            self._seen[name].is_frozen = True

    def _is_frozen(self, name: str, quote: Quote, received_at: int, others: Prices) -> bool:
        """A changed quote starts the count anew; an answer that was received before is no new poll."""
        seen = self._seen.get(name)
        if seen is None or seen.quote != quote:
            seen = self._seen[name] = _Sighting(quote, received_at, others)
        if seen.received_at != received_at:
            seen.received_at, seen.repeats = received_at, seen.repeats + 1
        seen.is_frozen = seen.is_frozen or (seen.repeats >= FROZEN_POLLS and _moved(seen.others, others))
        return seen.is_frozen


def _without(prices: Prices, voice: str) -> Prices:
    return {other: price for other, price in prices.items() if other != voice}


def _moved(then: Prices, now: Prices) -> bool:
    """Whether most of the voices of now, and two at least, have moved since then."""
    moved = sum(not near(now[name], then[name], FROZEN_MOVE) for name in then.keys() & now.keys())
    return moved >= 2 and moved * 2 > len(now)
