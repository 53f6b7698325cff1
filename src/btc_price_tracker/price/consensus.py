"""`POLICY=consensus`: several sources, one price, and how well it is supported. The rule on one screen.

    answers ─screen─▶ fresh quotes ─frozen, excluded─▶ admitted ─quorum─▶ verdict ─jump guard─▶ publication

The parts are pure or remember one thing each; the parameters and their origin: docs/decisions/consensus.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec.structs import replace

from btc_price_tracker.price.exclusion import Exclusion
from btc_price_tracker.price.freshness import silences
from btc_price_tracker.price.frozen import FrozenWatch
from btc_price_tracker.price.jump import JumpGuard
from btc_price_tracker.price.model import (
    EXCLUSIONS,
    Answer,
    AssessedQuote,
    Kind,
    Quote,
    QuoteState,
    Status,
    Tick,
    Update,
)
from btc_price_tracker.price.offsets import recall, with_usual
from btc_price_tracker.price.parameters import AGREE, METHOD, QUORUM
from btc_price_tracker.price.publisher import Publisher
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

    A price is held within the bids and asks of those: while fewer than half of the fresh ones are faulty and the
    honest ones within 1 % of each other, it lies between the lowest honest bid and the highest honest ask. `ok` means
    that three at least are within 1 % of it.
    """

    def __init__(
        self, interval: float, recent: Sequence[Tick] = (), floor: int = 0, *, recorded: bool = False
    ) -> None:
        """Decide every `interval` seconds; go on from the `recent` ticks, oldest first, with ids above `floor`.

        As many as `parameters.RECENT` ticks with their quotes hold all that the rule remembers.
        """
        last = recent[-1] if recent else None
        self._publisher = Publisher(METHOD, round(interval * 1000), last, floor, recorded)
        self._frozen = FrozenWatch()
        self._exclusion = Exclusion()
        self._jump = JumpGuard()
        self._undisputed = Fraction(last.price) if last is not None and last.status is Status.OK else None
        for tick in recent:
            self._replay(tick)

    @property
    def last(self) -> Tick | None:
        """The last tick it made, or was given at the start."""
        return self._publisher.last

    def decide(self, answers: Sequence[Answer], now: int) -> Update:
        """Conclude from one round of answers, in order of preference, at `now` (ms since the epoch)."""
        last = self._publisher.begin(now)
        if last is None:
            self._start_over()
        memory = recall(self._publisher.last, now, self._publisher.interval)
        screened = with_usual((screen(each, now, self._publisher.interval) for each in answers), memory.usual)
        voices = {quote.source: quote.voice for quote in screened}
        quotes = self._without_frozen(answers, screened, voices)
        eligibility = self._exclusion.review(_prices(quotes), voices)
        witnesses = prices_by_voice(_prices(screened), voices)
        round_ = Round.of(quotes, eligibility, witnesses, self._undisputed, memory, silences(answers, now))
        verdict = self._jump.check(conclude(round_), last)
        self._remember(verdict.status, verdict.price, witnesses)
        return self._publisher.publish(verdict)

    def _replay(self, tick: Tick) -> None:
        """Remember of a tick what deciding it would have left."""
        quotes = [replace(each, offset=None) for each in tick.quotes]
        voices = {each.source: each.voice for each in quotes}
        witnesses = _prices(quotes, QuoteState.FROZEN)
        self._frozen.review([_answer(each, tick.id) for each in quotes], witnesses, voices)
        self._frozen.replay({each.source for each in quotes if each.state is QuoteState.FROZEN})
        self._exclusion.replay({each.source for each in quotes if each.state in EXCLUSIONS})
        self._exclusion.review(_prices(quotes), voices)
        self._jump.replay(tick)
        self._remember(tick.status, tick.price, prices_by_voice(witnesses, voices))

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

    def _remember(self, status: Status, price: Decimal | None, witnesses: Prices) -> None:
        """Keep a price that is `ok` and that no exchange contradicts.

        While one does, the majority may be drifting away, and must not take along what it is measured by.
        """
        if status is Status.OK and price is not None:
            exact = Fraction(price)
            if all(near(other, exact, AGREE / 2) for other in witnesses.values()):
                self._undisputed = exact


def _prices(quotes: Iterable[AssessedQuote], besides: QuoteState | None = None) -> Prices:
    """The prices of the exchanges that are fresh, or in the state `besides`."""
    exchanges = (each for each in quotes if each.kind is Kind.EXCHANGE)
    return {
        each.source: vote(each).price for each in exchanges if each.fresh or each.state is besides is not None
    }


def _answer(quote: AssessedQuote, received_at: int) -> Answer:
    """The answer that a stored quote was made of, as far as it is known."""
    content = None if quote.last is None else Quote(quote.last, quote.bid, quote.ask, quote.time)
    return Answer(quote.source, quote.kind, quote=content, received_at=received_at)
