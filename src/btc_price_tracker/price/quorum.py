"""Who decides the price of a round, and how sure that makes it. Pure: one round in, one verdict out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from statistics import median
from typing import NamedTuple

from btc_price_tracker.price.exclusion import Admission
from btc_price_tracker.price.model import Judged, Kind, Status
from btc_price_tracker.price.parameters import AGREE, QUORUM
from btc_price_tracker.price.publisher import Verdict
from btc_price_tracker.price.votes import Vote, agree, combine, near, to_the_cent, vote
from btc_price_tracker.price.wording import ago, astray, causes, count, mark, names, percent

Votes = Mapping[str, Vote]  # by source


class Choice(NamedTuple):
    """Whose votes count, who confirmed them from outside, and why there is none if there is none."""

    voters: Votes
    referee: str = ""
    dispute: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """The fresh votes of one round."""

    judged: Sequence[Judged]
    exchanges: Votes  # all fresh ones, admitted or not
    admitted: Votes
    aggregators: Votes
    split: bool  # exclusion found no majority
    sure: Fraction | None  # the last price that was `ok`, while there has been one since
    silences: Mapping[str, int]  # of the sources that don't answer now, in ms

    @classmethod
    def of(
        cls,
        judged: Sequence[Judged],
        admission: Admission,
        sure: Fraction | None,
        silences: Mapping[str, int],
    ) -> "Round":
        """Sort the fresh votes by what they may do."""
        votes = {said.source: (said.kind, vote(said)) for said in judged if said.fresh}
        exchanges = {name: its for name, (kind, its) in votes.items() if kind is Kind.EXCHANGE}
        return cls(
            judged=judged,
            exchanges=exchanges,
            admitted={name: its for name, its in exchanges.items() if name in admission.admitted},
            aggregators={name: its for name, (kind, its) in votes.items() if kind is Kind.AGGREGATOR},
            split=admission.split,
            sure=sure,
            silences=silences,
        )


def conclude(this: Round) -> Verdict:
    """Choose the voters, compute the price, and say how sure it is."""
    choice = _choose(this)
    if not choice.voters:
        return _undecided(this, choice.dispute)
    used, fresh = list(choice.voters.values()), list(this.exchanges.values())
    price, spread = combine(used, fresh)
    if not near(price, combine(used)[0], AGREE):
        return _undecided(this, "most exchanges contradict those that may vote")
    quotes = mark(this.judged, used=choice.voters.keys(), admitted=this.admitted.keys())
    status, reason = _standing(this, choice, price, quotes)
    return Verdict(status, reason, quotes, to_the_cent(price), to_the_cent(spread))


def _undecided(this: Round, dispute: str) -> Verdict:
    quotes = mark(this.judged, used=(), admitted=this.admitted.keys())
    return Verdict(Status.STALE, f"{dispute}{_unusable(this, quotes)}.", quotes)


def _unusable(this: Round, quotes: Sequence[Judged]) -> str:
    """Why those that can't vote can't."""
    fit = this.admitted.keys() | this.aggregators.keys()
    return causes(said for said in quotes if said.source not in fit)


def _choose(this: Round) -> Choice:
    """Exchanges decide; an aggregator can contradict one that is alone, and only votes where there is none."""
    if len(this.admitted) >= 2:
        return _referee(this) if this.split or _is_torn(this.admitted) else Choice(this.admitted)
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


def _standing(this: Round, choice: Choice, price: Fraction, quotes: Sequence[Judged]) -> tuple[Status, str]:
    """The status, and one sentence on why."""
    confirmed = choice.referee and f", confirmed by {choice.referee}"
    if len(this.admitted) < 2:
        since = ago(choice.voters, this.silences)
        verb = f"answered{since}" if since else "can be used"
        alone = f"Only {names(choice.voters)} {verb}{confirmed}"
        return Status.SINGLE_SOURCE, f"{alone}{_unusable(this, quotes)}."
    exchanges = [said for said in quotes if said.kind is Kind.EXCHANGE]
    agreeing = _near(price, choice.voters)
    rival = _rival(this, price)
    contested = rival and f", but {rival} agree on another price"
    is_sure = len(agreeing) >= QUORUM and not choice.referee and not rival
    agreement = count(len(agreeing), len(exchanges), ago(agreeing, this.silences))
    reason = f"{agreement}{confirmed}{contested}{astray(exchanges, agreeing)}."
    return (Status.OK if is_sure else Status.DEGRADED), reason


def _rival(this: Round, price: Fraction) -> str:
    """Two voices that agree on another price, for then three that agree may be three that err together.

    Voices are the exchanges, the aggregators as one (they aren't independent), and the last `ok` price.
    """
    voices = {name: its.price for name, its in this.exchanges.items()}
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
