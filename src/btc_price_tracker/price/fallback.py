"""`POLICY=fallback`: the first source in order of preference that has a fresh quote."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from btc_price_tracker.price.freshness import silences
from btc_price_tracker.price.model import Answer, AssessedQuote, Status, Tick, Update
from btc_price_tracker.price.parameters import FALLBACK_METHOD
from btc_price_tracker.price.publisher import Publisher, Verdict
from btc_price_tracker.price.screening import screen, usable
from btc_price_tracker.price.votes import combine, to_the_cent, vote
from btc_price_tracker.price.wording import ago, causes


def enough(answers: Sequence[Answer], now: int, interval: int) -> bool:
    """Whether one of the answers gives a price, at `now`, with `interval` between rounds (ms)."""
    return any(usable(answer, now, interval) for answer in answers)


class Fallback:
    """One source at a time: its price is never confirmed, so its status is `single_source` or `stale`."""

    def __init__(
        self, interval: float, last: Tick | None = None, floor: int = 0, *, recorded: bool = False
    ) -> None:
        """Decide every `interval` seconds; go on from the tick `last`, with ids above `floor`."""
        self._publisher = Publisher(FALLBACK_METHOD, round(interval * 1000), last, floor, recorded)

    @property
    def last(self) -> Tick | None:
        """The last tick it made, or was given at the start."""
        return self._publisher.last

    def decide(self, answers: Sequence[Answer], now: int) -> Update:
        """Conclude from one round of answers, in order of preference, at `now` (ms since the epoch)."""
        self._publisher.begin(now)
        judged = [screen(answer, now, self._publisher.interval) for answer in answers]
        faults = {answer.source: answer.fault for answer in answers if answer.fault is not None}
        return self._publisher.publish(_verdict(judged, faults, silences(answers, now)))


def _verdict(
    judged: Sequence[AssessedQuote], faults: Mapping[str, str], silences: Mapping[str, int]
) -> Verdict:
    fresh = [said for said in judged if said.fresh]
    # A source that fails now may have said something fresh before: better than nothing, but the last resort.
    first = next((said for said in fresh if said.source not in faults), next(iter(fresh), None))
    if first is None:
        return Verdict(Status.STALE, f"no source is usable{causes(judged)}.", tuple(judged))
    price, spread = combine([vote(first)])
    since = ago([first.source], silences)
    quotes = tuple(_chosen(said, first, faults) for said in judged)
    earlier = quotes[: judged.index(first)]
    reason = f"The price is {first.source}'s{since and f' of{since}'}{causes(earlier)}."
    return Verdict(Status.SINGLE_SOURCE, reason, quotes, to_the_cent(price), to_the_cent(spread))


def _chosen(said: AssessedQuote, first: AssessedQuote, faults: Mapping[str, str]) -> AssessedQuote:
    if said is first:
        return replace(said, used=True)
    why = said.reason or faults.get(said.source) or f"not needed: {first.source} comes first"
    return replace(said, reason=why)
