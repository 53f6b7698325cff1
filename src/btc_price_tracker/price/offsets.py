"""Learned offsets: an exchange's usual distance from the price, so that the price does not jump when fewer vote.

While every exchange that usually votes does vote, no offset is subtracted. When one is missing, each of the others
has its usual offset subtracted, and a correction carries the price over the change without a step, then fades.

Offsets are parts of the price (0.0001 is a basis point). Everything that is remembered is in the previous tick, so
that a restart or a new leader goes on from it exactly. The rule and its reasons: docs/decisions/consensus.md.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from msgspec.structs import replace

from btc_price_tracker.price.bounds import exact_price
from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Tick
from btc_price_tracker.price.parameters import (
    CORRECTION_FADE,
    OFFSET_FADE,
    OFFSET_LEARNING,
    OFFSET_LIMIT,
)
from btc_price_tracker.price.voices import by_voice
from btc_price_tracker.price.votes import combine, vote

_UNIT = Decimal("1E-8")  # of an offset as it is kept

Usual = Mapping[str, Decimal]  # by exchange


class Memory(NamedTuple):
    """What the previous tick teaches: the usual offsets as of now, and the elapsed time in ms."""

    previous: Tick | None
    usual: Usual
    elapsed: int


def recall(previous: Tick | None, now: int, interval: int) -> Memory:
    """Learn from the previous tick, for a round at `now`, with `interval` between rounds (ms)."""
    if previous is None:
        return Memory(None, {}, 0)
    elapsed = max(now - previous.id, 0)
    # A price counts for as long as it stood, but not for a pause of the service.
    stood = min(elapsed, 2 * interval)
    fades = not _is_complete(previous.quotes)
    learns = previous.status is Status.OK
    usual = {}
    for quote in previous.quotes:
        offset = Fraction(quote.usual_offset or 0)
        if learns and quote.used and quote.kind is Kind.EXCHANGE:
            distance = vote(replace(quote, offset=None)).price / Fraction(previous.price) - 1
            offset += (_limited(distance) - offset) * Fraction(stood, stood + OFFSET_LEARNING)
        elif quote.usual_offset is None:
            continue
        if fades or not learns:
            offset *= Fraction(OFFSET_FADE, OFFSET_FADE + elapsed)
        usual[quote.source] = _rounded(offset)
    return Memory(previous, usual, elapsed)


def with_usual(quotes: Iterable[AssessedQuote], usual: Usual) -> list[AssessedQuote]:
    """The quotes, each with its usual offset."""
    return [replace(each, usual_offset=usual.get(each.source)) for each in quotes]


def with_offsets(quotes: Sequence[AssessedQuote], used: Iterable[str], memory: Memory) -> list[AssessedQuote]:
    """The quotes of the `used` sources with the offset that is subtracted from each in this round."""
    voters = [each for each in quotes if each.source in set(used)]
    targets = _targets(quotes, voters)
    return _subtract(voters, targets, _correction(voters, targets, memory))


def _is_complete(quotes: Iterable[AssessedQuote], used: Iterable[str] | None = None) -> bool:
    """Whether every exchange with a usual offset voted."""
    voted = {each.source for each in quotes if each.used} if used is None else set(used)
    return all(each.source in voted for each in quotes if each.usual_offset is not None)


def _targets(quotes: Iterable[AssessedQuote], voters: Sequence[AssessedQuote]) -> Usual:
    """The offset of each voter, but for the correction."""
    is_complete = _is_complete(quotes, used={each.source for each in voters})
    return {each.source: Decimal(0) if is_complete else each.usual_offset or Decimal(0) for each in voters}


def _correction(voters: Sequence[AssessedQuote], targets: Usual, memory: Memory) -> Fraction:
    """The part of the price by which it is shifted, so that a change of voters makes no step. It fades."""
    previous = memory.previous
    before = [each for each in previous.quotes if each.used] if previous is not None else []
    common = {each.source for each in before} & targets.keys()
    if previous is None or not common:
        return Fraction(0)
    if len(common) == len(before) == len(voters):
        carried = _last_correction(previous.quotes, before)
    else:
        carried = _carried(previous, common, voters, targets)
    return _limited(carried * Fraction(CORRECTION_FADE, CORRECTION_FADE + memory.elapsed))


def _last_correction(quotes: Sequence[AssessedQuote], before: Sequence[AssessedQuote]) -> Fraction:
    """The correction of the previous tick, which each of its offsets holds."""
    first = before[0]
    return Fraction(_targets(quotes, before)[first.source]) - Fraction(first.offset or 0)


def _carried(
    previous: Tick, common: Collection[str], voters: Sequence[AssessedQuote], targets: Usual
) -> Fraction:
    """The correction with which the new voters continue the previous price.

    Both are compared on the quotes of the `common` sources, which voted then and vote now: on the previous ones
    where others have left, and on the present ones where others have come.
    """
    stayed = [each for each in previous.quotes if each.source in common]
    price = exact_price(previous.quotes) / _price(stayed, _usual(stayed))
    if len(common) < len(voters):
        remaining = [each for each in voters if each.source in common]
        price *= _price(remaining, _usual(remaining)) / _price(voters, targets)
    return price - 1


def _usual(quotes: Iterable[AssessedQuote]) -> Usual:
    return {each.source: each.usual_offset or Decimal(0) for each in quotes}


def _price(quotes: Sequence[AssessedQuote], offsets: Usual) -> Fraction:
    return combine(by_voice(_subtract(quotes, offsets)).values())[0]


def _subtract(
    quotes: Iterable[AssessedQuote], offsets: Usual, correction: Fraction = Fraction(0)
) -> list[AssessedQuote]:
    """The quotes with these offsets less the correction; none where that is zero."""
    return [
        replace(each, offset=_rounded(_limited(Fraction(offsets[each.source]) - correction)) or None)
        for each in quotes
    ]


def _limited(offset: Fraction) -> Fraction:
    return max(-OFFSET_LIMIT, min(offset, OFFSET_LIMIT))


def _rounded(offset: Fraction) -> Decimal:
    return Decimal(round(offset / Fraction(_UNIT))) * _UNIT
