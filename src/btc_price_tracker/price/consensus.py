"""`POLICY=consensus`: several sources, one price, and how well it is supported. The rule on one screen.

    answers ─screen─▶ fresh quotes ─frozen, excluded─▶ admitted ─quorum─▶ verdict ─jump guard─▶ publication

The parts are pure or remember one thing each; the parameters and their origin: docs/decisions/consensus.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from btc_price_tracker.price.exclusion import Exclusion
from btc_price_tracker.price.freshness import silences
from btc_price_tracker.price.frozen import FrozenWatch
from btc_price_tracker.price.jump import JumpGuard
from btc_price_tracker.price.model import Answer, AssessedQuote, Kind, QuoteState, Status, Tick, Update
from btc_price_tracker.price.parameters import AGREE, METHOD, QUORUM
from btc_price_tracker.price.publisher import Publisher, Verdict
from btc_price_tracker.price.quorum import Round, conclude
from btc_price_tracker.price.screening import screen, usable, without_vote
from btc_price_tracker.price.voices import Prices, prices_by_voice
from btc_price_tracker.price.votes import near, vote


def enough(answers: Sequence[Answer], now: int, interval: int) -> bool:
    """Whether as many exchanges as `ok` takes are among the answers, at `now`, with `interval` between rounds (ms)."""
    exchanges = [answer for answer in answers if answer.kind is Kind.EXCHANGE]
    voices = {each.rate_from or each.source for each in exchanges if usable(each, now, interval)}
    return len(voices) >= QUORUM


class Consensus:
    """The three-vote median of the exchanges that are fresh and not far from the others.

    A price is held within what most fresh exchanges quote: while fewer than half of them are faulty, it lies
    between the lowest bid and the highest ask of the honest ones. `ok` means that three at least are within
    1 % of it.
    """

    def __init__(
        self, interval: float, last: Tick | None = None, floor: int = 0, *, recorded: bool = False
    ) -> None:
        """Decide every `interval` seconds; go on from the tick `last`, with ids above `floor`."""
        self._publisher = Publisher(METHOD, round(interval * 1000), last, floor, recorded)
        self._frozen = FrozenWatch()
        self._exclusion = Exclusion()
        self._jump = JumpGuard()
        self._undisputed = Fraction(last.price) if last is not None and last.status is Status.OK else None

    @property
    def last(self) -> Tick | None:
        """The last tick it made, or was given at the start."""
        return self._publisher.last

    def decide(self, answers: Sequence[Answer], now: int) -> Update:
        """Conclude from one round of answers, in order of preference, at `now` (ms since the epoch)."""
        last = self._publisher.begin(now)
        if last is None:
            self._start_over()
        screened = [screen(answer, now, self._publisher.interval) for answer in answers]
        voices = {quote.source: quote.voice for quote in screened}
        quotes = self._without_frozen(answers, screened, voices)
        eligibility = self._exclusion.review(_prices(quotes), voices)
        witnesses = prices_by_voice(_prices(screened), voices)
        round_ = Round.of(quotes, eligibility, witnesses, self._undisputed, silences(answers, now))
        verdict = self._jump.check(conclude(round_), last)
        self._remember(verdict, witnesses)
        return self._publisher.publish(verdict)

    def _without_frozen(
        self, answers: Sequence[Answer], quotes: Sequence[AssessedQuote], voices: Mapping[str, str]
    ) -> list[AssessedQuote]:
        """The quotes, those of frozen sources without a vote."""
        frozen = self._frozen.review(answers, _prices(quotes), voices)
        return [without_vote(each, QuoteState.FROZEN) if each.source in frozen else each for each in quotes]

    def _start_over(self) -> None:
        """With no price left to compare with, the exchanges that were excluded by it may vote again."""
        self._exclusion.lapse()
        self._undisputed = None

    def _remember(self, verdict: Verdict, witnesses: Prices) -> None:
        """Keep a price that is `ok` and that no exchange contradicts.

        While one does, the majority may be drifting away, and must not take along what it is measured by.
        """
        if verdict.status is Status.OK and verdict.price is not None:
            price = Fraction(verdict.price)
            if all(near(other, price, AGREE / 2) for other in witnesses.values()):
                self._undisputed = price


def _prices(quotes: Iterable[AssessedQuote]) -> Prices:
    """The fresh exchanges' prices."""
    return {each.source: vote(each).price for each in quotes if each.fresh and each.kind is Kind.EXCHANGE}
