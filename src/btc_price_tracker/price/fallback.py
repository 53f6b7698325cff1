"""`POLICY=fallback`: the first source in order of preference that has a fresh quote."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from btc_price_tracker.price.freshness import silences
from btc_price_tracker.price.model import Answer, AssessedQuote, QuoteState, Status, Tick, Update
from btc_price_tracker.price.parameters import FALLBACK_METHOD
from btc_price_tracker.price.publisher import Publisher, Verdict
from btc_price_tracker.price.screening import screen, unused, usable
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
        quotes = [screen(answer, now, self._publisher.interval) for answer in answers]
        faults = {answer.source: answer.fault for answer in answers if answer.fault is not None}
        return self._publisher.publish(_verdict(quotes, faults, silences(answers, now)))


def _verdict(
    quotes: Sequence[AssessedQuote], faults: Mapping[str, str], silences: Mapping[str, int]
) -> Verdict:
    fresh = [quote for quote in quotes if quote.fresh]
    # The earlier quote of a source that fails now may still be fresh: better than none, but the last resort.
    first = next((quote for quote in fresh if quote.source not in faults), next(iter(fresh), None))
    if first is None:
        return Verdict(Status.STALE, f"no source is usable{causes(quotes)}.", tuple(quotes))
    price, spread = combine([vote(first)])
    since = ago([first.source], silences)
    decided = tuple(_decided(quote, first, faults) for quote in quotes)
    preferred = decided[: quotes.index(first)]
    reason = f"The price is {first.source}'s{since and f' of{since}'}{causes(preferred)}."
    return Verdict(Status.SINGLE_SOURCE, reason, decided, to_the_cent(price), to_the_cent(spread))


def _decided(quote: AssessedQuote, first: AssessedQuote, faults: Mapping[str, str]) -> AssessedQuote:
    if quote is first:
        return replace(quote, used=True, state=QuoteState.USED)
    if quote.state is not None:
        return quote
    if quote.source in faults:
        return unused(quote, QuoteState.FAILED, faults[quote.source])
    return unused(quote, QuoteState.NOT_NEEDED, first.source)
