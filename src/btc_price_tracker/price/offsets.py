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

from btc_price_tracker.price.bounds import price_and_spread
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
    fades = not _is_complete(previous.quotes, {each.source for each in previous.quotes if each.used})
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
    names = set(used)
    voters = [each for each in quotes if each.source in names]
    is_complete = _is_complete(quotes, names)
    correction = _correction(voters, memory, is_complete=is_complete)
    return _subtract(voters, _targets(voters, is_complete=is_complete), correction)


def _is_complete(quotes: Iterable[AssessedQuote], used: Collection[str]) -> bool:
    """Whether every exchange with a usual offset is used."""
    return all(each.source in used for each in quotes if each.usual_offset is not None)


def _targets(voters: Iterable[AssessedQuote], *, is_complete: bool) -> Usual:
    """The offset of each voter, but for the correction."""
    return dict.fromkeys((each.source for each in voters), Decimal(0)) if is_complete else _usual(voters)


def _correction(voters: Sequence[AssessedQuote], memory: Memory, *, is_complete: bool) -> Fraction:
    """The part of the price by which it is shifted, so that a change of voters makes no step. It fades."""
    previous = memory.previous
    before = [each for each in previous.quotes if each.used] if previous is not None else []
    names, names_before = {each.source for each in voters}, {each.source for each in before}
    if previous is None or not names & names_before:
        return Fraction(0)
    was_complete = _is_complete(previous.quotes, names_before)
    if (names, is_complete) == (names_before, was_complete):
        # Each offset of the previous tick is the target less the correction.
        first = before[0]
        target = _targets(before, is_complete=was_complete)[first.source]
        carried = Fraction(target) - Fraction(first.offset or 0)
    else:
        carried = _carried(previous, voters, is_complete=is_complete)
    return _limited(carried * Fraction(CORRECTION_FADE, CORRECTION_FADE + memory.elapsed))


def _carried(previous: Tick, voters: Sequence[AssessedQuote], *, is_complete: bool) -> Fraction:
    """The correction with which the new voters continue the previous price.

    The sources that voted then and vote now connect the two: on the previous quotes with those that have left, on the
    present ones with those that have come.
    """
    common = {each.source for each in previous.quotes if each.used} & {each.source for each in voters}
    stayed = [each for each in previous.quotes if each.source in common]
    remaining = [each for each in voters if each.source in common]
    left = price_and_spread(previous.quotes)[0] / _price(stayed, _usual(stayed))
    came = _price(remaining, _usual(remaining)) / _price(voters, _targets(voters, is_complete=is_complete))
    return left * came - 1


def _usual(quotes: Iterable[AssessedQuote]) -> Usual:
    return {each.source: each.usual_offset or Decimal(0) for each in quotes}


def _price(quotes: Sequence[AssessedQuote], offsets: Usual) -> Fraction:
    return combine(by_voice(_subtract(quotes, offsets)).values())[0]


def _subtract(
    quotes: Iterable[AssessedQuote], offsets: Usual, correction: Fraction = Fraction(0)
) -> list[AssessedQuote]:
    """The quotes with these offsets less the correction; none where that is zero."""
    return [
        replace(each, offset=_rounded(Fraction(offsets[each.source]) - correction) or None) for each in quotes
    ]


def _limited(offset: Fraction) -> Fraction:
    return max(-OFFSET_LIMIT, min(offset, OFFSET_LIMIT))


def _rounded(offset: Fraction) -> Decimal:
    return Decimal(round(offset / Fraction(_UNIT))) * _UNIT
