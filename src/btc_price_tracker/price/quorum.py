"""Which votes decide the price of a round, and with which status. Pure: one round in, one verdict out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from statistics import median
from typing import NamedTuple

from msgspec.structs import replace

from btc_price_tracker.price.bounds import price_and_spread
from btc_price_tracker.price.exclusion import Eligibility
from btc_price_tracker.price.model import AssessedQuote, Kind, QuoteState, Status
from btc_price_tracker.price.offsets import Memory, with_offsets
from btc_price_tracker.price.parameters import AGREE, QUORUM
from btc_price_tracker.price.publisher import Verdict
from btc_price_tracker.price.screening import unused
from btc_price_tracker.price.voices import Prices, by_voice
from btc_price_tracker.price.votes import Vote, agree, combine, near, to_the_cent
from btc_price_tracker.price.wording import ago, causes, count, dissent, names, percent, shared_voices

Votes = Mapping[str, Vote]  # by voice (voices.py)


class Choice(NamedTuple):
    """The votes that count, the aggregators that confirmed them, and, where there are none, why."""

    voters: Votes
    referee: str = ""
    dispute: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """The fresh votes of one round."""

    quotes: Sequence[AssessedQuote]
    eligibility: Eligibility
    exchanges: Votes  # all fresh ones, admitted or not
    admitted: Votes
    aggregators: Votes
    # The recent price of every exchange, by voice; also of the frozen, which have no vote.
    witnesses: Prices
    undisputed: Fraction | None  # the last `ok` price that no exchange contradicted
    memory: Memory
    silences: Mapping[str, int]  # of the sources that don't answer now, in ms

    @classmethod
    def of(
        cls,
        quotes: Sequence[AssessedQuote],
        eligibility: Eligibility,
        witnesses: Prices,
        undisputed: Fraction | None,
        memory: Memory,
        silences: Mapping[str, int],
    ) -> "Round":
        """Sort the fresh votes by what they may do."""
        exchanges = [quote for quote in quotes if quote.fresh and quote.kind is Kind.EXCHANGE]
        return cls(
            quotes=quotes,
            eligibility=eligibility,
            exchanges=by_voice(exchanges),
            admitted=by_voice(quote for quote in exchanges if quote.source in eligibility.admitted),
            aggregators=by_voice(quote for quote in quotes if quote.fresh and quote.kind is Kind.AGGREGATOR),
            witnesses=witnesses,
            undisputed=undisputed,
            memory=memory,
            silences=silences,
        )

    def sources(self, voices: Collection[str]) -> list[str]:
        """The sources with these voices that may vote."""
        return [
            quote.source
            for quote in self.quotes
            if quote.fresh and quote.voice in voices
            if quote.kind is Kind.AGGREGATOR or quote.source in self.eligibility.admitted
        ]


def conclude(round_: Round) -> Verdict:
    """Choose the voters, compute the price, and say how sure it is."""
    choice = _choose(round_)
    if not choice.voters:
        return _undecided(round_, choice.dispute)
    if _is_contradicted(choice.voters.values(), round_.exchanges.values()):
        return _undecided(round_, "most exchanges contradict those that may vote")
    used = round_.sources(choice.voters)
    quotes = _decided(round_, used=with_offsets(round_.quotes, used, round_.memory))
    price, spread = price_and_spread(quotes)
    status, reason = _standing(round_, choice, price, quotes)
    return Verdict(status, reason, quotes, to_the_cent(price), to_the_cent(spread))


def _is_contradicted(voters: Collection[Vote], exchanges: Collection[Vote]) -> bool:
    """Whether the price of the voters is far from what most exchanges quote, the excluded included."""
    price, _ = combine(voters)
    bounded, _ = combine(voters, list(exchanges))
    return not near(bounded, price, AGREE)


def _undecided(round_: Round, dispute: str) -> Verdict:
    quotes = _decided(round_, used=())
    return Verdict(Status.STALE, f"{dispute}{_unusable(round_, quotes)}.", quotes)


def _unusable(round_: Round, quotes: Sequence[AssessedQuote]) -> str:
    """The reasons of the quotes that can't vote."""
    fit = round_.sources({*round_.admitted, *round_.aggregators})
    return causes(quote for quote in quotes if quote.source not in fit)


def _decided(round_: Round, used: Iterable[AssessedQuote]) -> tuple[AssessedQuote, ...]:
    """Every quote with its state after the round."""
    voters = {quote.source: quote for quote in used}
    return tuple(
        replace(voters[quote.source], used=True, state=QuoteState.USED)
        if quote.source in voters
        else quote
        if quote.state is not None
        else unused(quote, _state_of_unused(quote, round_))
        for quote in round_.quotes
    )


def _state_of_unused(quote: AssessedQuote, round_: Round) -> QuoteState:
    if quote.kind is Kind.AGGREGATOR:
        return QuoteState.RESERVE
    if quote.source in round_.eligibility.admitted:
        return QuoteState.DISPUTED
    return QuoteState.EXCLUDED if quote.source in round_.eligibility.far else QuoteState.RETURNING


def _choose(round_: Round) -> Choice:
    """Exchanges decide; an aggregator can contradict one that is alone, and only votes where there is none."""
    if len(round_.admitted) >= 2:
        is_open = round_.eligibility.split or _is_disputed(round_.admitted)
        return _referee(round_) if is_open else Choice(round_.admitted)
    voices = {**round_.admitted, **round_.aggregators}
    if not voices:
        return Choice({}, dispute="no source is usable")
    if not agree(_prices(voices), AGREE):
        return Choice({}, dispute=_dispute(voices))
    if not round_.admitted:
        return Choice(round_.aggregators)
    return Choice(round_.admitted, referee=names(round_.aggregators))


def _dispute(voters: Votes) -> str:
    return f"{names(voters)} disagree by more than {percent(AGREE)}"


def _is_disputed(voters: Votes) -> bool:
    """Whether two disagree, or more have none among them that is near the middle."""
    if len(voters) == 2:
        return not agree(_prices(voters), AGREE)
    return not _near(combine(voters.values())[0], voters)


def _referee(round_: Round) -> Choice:
    """Let the aggregators choose the side: the one that agrees with them, if it is one side only."""
    dispute = Choice({}, dispute=_dispute(round_.admitted))
    if not round_.aggregators:
        return dispute
    side = _near(median(_prices(round_.aggregators)), round_.admitted)
    if not side or not agree(_prices(side), AGREE):
        return dispute
    return Choice(side, referee=names(round_.aggregators))


def _standing(
    round_: Round, choice: Choice, price: Fraction, quotes: Sequence[AssessedQuote]
) -> tuple[Status, str]:
    """The status, and one sentence on why."""
    confirmed = choice.referee and f", confirmed by {choice.referee}"
    if len(round_.admitted) < 2:
        voters = round_.sources(choice.voters)
        since = ago(voters, round_.silences)
        verb = f"answered{since}" if since else "can be used"
        alone = f"Only {names(voters)} {verb}{confirmed}"
        return Status.SINGLE_SOURCE, f"{alone}{_unusable(round_, quotes)}{shared_voices(quotes)}."
    exchanges = [quote for quote in quotes if quote.kind is Kind.EXCHANGE]
    agreeing = _near(price, choice.voters)
    rival = _rival(round_, price)
    contested = rival and f", but {rival} agree on another price"
    is_ok = len(agreeing) >= QUORUM and not choice.referee and not rival
    since = ago(round_.sources(agreeing), round_.silences)
    agreement = count(len(agreeing), len({quote.voice for quote in exchanges}), since)
    reason = f"{agreement}{confirmed}{contested}{dissent(exchanges, agreeing)}{shared_voices(quotes)}."
    return (Status.OK if is_ok else Status.DEGRADED), reason


def _rival(round_: Round, price: Fraction) -> str:
    """Two voices that agree on another price: the three that agree on this one may err together.

    Voices are the exchanges, the aggregators as one (they aren't independent), and the last undisputed price. A frozen
    exchange is among them: to a majority that drifts away, one that stays where it was looks frozen.
    """
    voices = dict(round_.witnesses)
    if round_.aggregators:
        voices[names(round_.aggregators)] = median(_prices(round_.aggregators))
    if round_.undisputed is not None:
        voices["the last sure price"] = round_.undisputed
    far = [(name, other) for name, other in voices.items() if not near(other, price, AGREE)]
    pairs = combinations(far, 2)
    return next((names([one, other]) for (one, a), (other, b) in pairs if agree([a, b], AGREE)), "")


def _near(price: Fraction, voters: Votes) -> Votes:
    return {name: vote for name, vote in voters.items() if near(vote.price, price, AGREE)}


def _prices(voters: Votes) -> list[Fraction]:
    return [vote.price for vote in voters.values()]
