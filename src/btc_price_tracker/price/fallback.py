"""`POLICY=fallback`: the first source in order of preference that has a fresh quote."""

from collections.abc import Sequence

from msgspec.structs import replace

from btc_price_tracker.price.model import Answer, Judged, Status, Tick, Update
from btc_price_tracker.price.parameters import FALLBACK_METHOD
from btc_price_tracker.price.publication import Publication, Verdict
from btc_price_tracker.price.screening import screen
from btc_price_tracker.price.votes import cents, combine, vote
from btc_price_tracker.price.wording import causes


class Fallback:
    """One source at a time: its price is never confirmed, so its status is `single_source` or `stale`."""

    def __init__(self, interval: float, last: Tick | None = None) -> None:
        """Decide every `interval` seconds; go on from the tick `last`."""
        self._publication = Publication(FALLBACK_METHOD, round(interval * 1000), last)

    @property
    def last(self) -> Tick | None:
        """The last tick it made, or was given at the start."""
        return self._publication.last

    def decide(self, answers: Sequence[Answer], now: int) -> Update:
        """Conclude from one round of answers, in order of preference, at `now` (ms since the epoch)."""
        self._publication.begin(now)
        judged = [screen(answer, now, self._publication.interval) for answer in answers]
        return self._publication.publish(_verdict(judged))


def _verdict(judged: Sequence[Judged]) -> Verdict:
    first = next((said for said in judged if said.fresh), None)
    if first is None:
        return Verdict(Status.STALE, f"no source is usable{causes(judged)}.", tuple(judged))
    price, spread = combine([vote(first)])
    quotes = tuple(_chosen(said, first) for said in judged)
    earlier = quotes[: judged.index(first)]
    reason = f"The price is {first.source}'s{causes(earlier)}."
    return Verdict(Status.SINGLE_SOURCE, reason, quotes, cents(price), cents(spread))


def _chosen(said: Judged, first: Judged) -> Judged:
    if said is first:
        return replace(said, used=True)
    return replace(said, reason=said.reason or f"not needed: {first.source} comes first")
