"""Who decides the price of a round, and how sure that makes it. Pure: one round in, one verdict out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from statistics import median
from typing import NamedTuple

from btc_price_tracker.price.exclusion import Eligibility
from btc_price_tracker.price.model import AssessedQuote, Kind, Status
from btc_price_tracker.price.parameters import AGREE, QUORUM
from btc_price_tracker.price.publisher import Verdict
from btc_price_tracker.price.voices import Prices, by_voice
from btc_price_tracker.price.votes import Vote, agree, combine, near, to_the_cent
from btc_price_tracker.price.wording import ago, astray, causes, count, joined, mark, names, percent

Votes = Mapping[str, Vote]  # by voice (voices.py)


class Choice(NamedTuple):
    """Whose votes count, who confirmed them from outside, and why there is none if there is none."""

    voters: Votes
    referee: str = ""
    dispute: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """The fresh votes of one round."""

    judged: Sequence[AssessedQuote]
    eligibility: Eligibility
    exchanges: Votes  # all fresh ones, admitted or not
    admitted: Votes
    aggregators: Votes
    witnesses: (
        Prices  # what every exchange says that is recent, by voice; also the frozen, which have no vote
    )
    sure: Fraction | None  # the last price that was `ok`, while there has been one since
    silences: Mapping[str, int]  # of the sources that don't answer now, in ms

    @classmethod
    def of(
        cls,
        judged: Sequence[AssessedQuote],
        eligibility: Eligibility,
        witnesses: Prices,
        sure: Fraction | None,
        silences: Mapping[str, int],
    ) -> "Round":
        """Sort the fresh votes by what they may do."""
        exchanges = [quote for quote in judged if quote.fresh and quote.kind is Kind.EXCHANGE]
        return cls(
            judged=judged,
            eligibility=eligibility,
            exchanges=by_voice(exchanges),
            admitted=by_voice(quote for quote in exchanges if quote.source in eligibility.admitted),
            aggregators=by_voice(quote for quote in judged if quote.fresh and quote.kind is Kind.AGGREGATOR),
            witnesses=witnesses,
            sure=sure,
            silences=silences,
        )

    def sources(self, voices: Collection[str]) -> list[str]:
        """The sources that speak with these voices and may."""
        return [
            quote.source
            for quote in self.judged
            if quote.fresh and quote.voice in voices
            if quote.kind is Kind.AGGREGATOR or quote.source in self.eligibility.admitted
        ]


def conclude(this: Round) -> Verdict:
    """Choose the voters, compute the price, and say how sure it is."""
    choice = _choose(this)
    if not choice.voters:
        return _undecided(this, choice.dispute)
    used, fresh = list(choice.voters.values()), list(this.exchanges.values())
    price, spread = combine(used, fresh)
    if not near(price, combine(used)[0], AGREE):
        return _undecided(this, "most exchanges contradict those that may vote")
    quotes = mark(this.judged, used=this.sources(choice.voters), admitted=this.eligibility.admitted)
    status, reason = _standing(this, choice, price, quotes)
    return Verdict(status, reason, quotes, to_the_cent(price), to_the_cent(spread))


def _undecided(this: Round, dispute: str) -> Verdict:
    quotes = mark(this.judged, used=(), admitted=this.eligibility.admitted)
    return Verdict(Status.STALE, f"{dispute}{_unusable(this, quotes)}.", quotes)


def _unusable(this: Round, quotes: Sequence[AssessedQuote]) -> str:
    """Why those that can't vote can't."""
    fit = this.sources({*this.admitted, *this.aggregators})
    return causes(quote for quote in quotes if quote.source not in fit)


def _choose(this: Round) -> Choice:
    """Exchanges decide; an aggregator can contradict one that is alone, and only votes where there is none."""
    if len(this.admitted) >= 2:
        is_open = this.eligibility.split or _is_torn(this.admitted)
        return _referee(this) if is_open else Choice(this.admitted)
    voices = {**this.admitted, **this.aggregators}
    if not voices:
        return Choice({}, dispute="no source is usable")
    if not agree(_prices(voices), AGREE):
        return Choice({}, dispute=_dispute(voices))
    if not this.admitted:
        return Choice(this.aggregators)
    return Choice(this.admitted, referee=names(this.aggregators))


def _dispute(voters: Votes) -> str:
    return f"{names(voters)} disagree by more than {percent(AGREE)}"


def _is_torn(voters: Votes) -> bool:
    """Two that disagree, or more of whom none is near the middle."""
    if len(voters) == 2:
        return not agree(_prices(voters), AGREE)
    return not _near(combine(voters.values())[0], voters)


def _referee(this: Round) -> Choice:
    """Let the aggregators choose the side: the one that agrees with them, if it is one side only."""
    dispute = Choice({}, dispute=_dispute(this.admitted))
    if not this.aggregators:
        return dispute
    side = _near(median(_prices(this.aggregators)), this.admitted)
    if not side or not agree(_prices(side), AGREE):
        return dispute
    return Choice(side, referee=names(this.aggregators))


def _standing(
    this: Round, choice: Choice, price: Fraction, quotes: Sequence[AssessedQuote]
) -> tuple[Status, str]:
    """The status, and one sentence on why."""
    confirmed = choice.referee and f", confirmed by {choice.referee}"
    if len(this.admitted) < 2:
        voters = this.sources(choice.voters)
        since = ago(voters, this.silences)
        verb = f"answered{since}" if since else "can be used"
        alone = f"Only {names(voters)} {verb}{confirmed}"
        return Status.SINGLE_SOURCE, f"{alone}{_unusable(this, quotes)}{joined(quotes)}."
    exchanges = [quote for quote in quotes if quote.kind is Kind.EXCHANGE]
    agreeing = _near(price, choice.voters)
    rival = _rival(this, price)
    contested = rival and f", but {rival} agree on another price"
    is_sure = len(agreeing) >= QUORUM and not choice.referee and not rival
    since = ago(this.sources(agreeing), this.silences)
    agreement = count(len(agreeing), len({quote.voice for quote in exchanges}), since)
    reason = f"{agreement}{confirmed}{contested}{astray(exchanges, agreeing)}{joined(quotes)}."
    return (Status.OK if is_sure else Status.DEGRADED), reason


def _rival(this: Round, price: Fraction) -> str:
    """Two voices that agree on another price, for then three that agree may be three that err together.

    Voices are the exchanges, the aggregators as one (they aren't independent), and the last `ok` price. A frozen
    exchange is among them: to a majority that drifts away, one that stays where it was looks frozen.
    """
    voices = dict(this.witnesses)
    if this.aggregators:
        voices[names(this.aggregators)] = median(_prices(this.aggregators))
    if this.sure is not None:
        voices["the last sure price"] = this.sure
    far = [(name, its) for name, its in voices.items() if not near(its, price, AGREE)]
    pairs = combinations(far, 2)
    return next((names([one, other]) for (one, a), (other, b) in pairs if agree([a, b], AGREE)), "")


def _near(price: Fraction, voters: Votes) -> Votes:
    return {name: its for name, its in voters.items() if near(its.price, price, AGREE)}


def _prices(voters: Votes) -> list[Fraction]:
    return [its.price for its in voters.values()]
