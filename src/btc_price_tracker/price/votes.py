"""The arithmetic of the rule: quotes become votes, votes become a price and its spread.

Computed in fractions, so nothing is rounded before the price is: `to_the_cent` is the one place.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from statistics import median
from typing import NamedTuple

from btc_price_tracker.price.model import CENT, AssessedQuote, Kind
from btc_price_tracker.price.parameters import (
    AGGREGATOR_STALE,
    BOOK_FLOOR,
    CONVERTED_FLOOR,
    EXCHANGE_STALE,
    LAST_FLOOR,
)


class Vote(NamedTuple):
    """One source's vote in US dollars: its bid and ask, its price, and the confidence interval around it."""

    bid: Fraction
    price: Fraction
    ask: Fraction
    confidence: Fraction


class _Raw(NamedTuple):
    """What a vote depends on: the same for a quote in any state."""

    kind: Kind
    last: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    rate: Decimal | None
    age: int | None
    offset: Decimal | None


def vote(quote: AssessedQuote) -> Vote:
    """The vote of a quote: mid ± half the spread where the book is sane, else the last trade; wider with age.

    Uses the raw fields of `quote` only, never its rounded price.
    """
    raw = _Raw(quote.kind, quote.last, quote.bid, quote.ask, quote.rate, quote.age, quote.offset)
    return _vote(raw)


@lru_cache(maxsize=64)  # a round uses the same few votes a dozen times
def _vote(raw: _Raw) -> Vote:
    bid, price, ask = _book(raw)
    narrow = max((ask - bid) / 2, price * _floor(raw, has_book=bid < ask))
    confidence = narrow * _widening(raw)
    if raw.rate is None and raw.offset is None:
        return Vote(bid, price, ask, confidence)
    rate = Fraction(1) if raw.rate is None else Fraction(raw.rate)
    shift = rate * (1 - Fraction(raw.offset or 0))
    return Vote(bid * shift, price * shift, ask * shift, confidence * rate)


def _book(raw: _Raw) -> tuple[Fraction, Fraction, Fraction]:
    """Bid, price and ask; a missing, empty or crossed book leaves the last trade for all three."""
    if raw.bid is not None and raw.ask is not None and 0 < raw.bid < raw.ask:
        bid, ask = Fraction(raw.bid), Fraction(raw.ask)
        return bid, (bid + ask) / 2, ask
    last = Fraction(raw.last or 0)
    return last, last, last


def _floor(raw: _Raw, *, has_book: bool) -> Fraction:
    if raw.rate is not None:
        return CONVERTED_FLOOR
    return BOOK_FLOOR if has_book else LAST_FLOOR


def _widening(raw: _Raw) -> Fraction:
    """Uncertainty grows by its own width each 30 s (aggregators: 120 s), whatever the polling interval."""
    unit = EXCHANGE_STALE if raw.kind is Kind.EXCHANGE else AGGREGATOR_STALE
    return 1 + Fraction(raw.age or 0, unit)


def combine(used: Iterable[Vote], fresh: Sequence[Vote] = ()) -> tuple[Fraction, Fraction]:
    """The price and its spread by the three-vote median, within what most of the `fresh` exchanges quote.

    Each source votes {p - c, p, p + c}; the price R is the median of all votes, the spread
    max(R - Q25, Q75 - R). This is Pyth's aggregation (docs.pyth.network, price-aggregation), with the
    quartiles at index n // 4 from either end as in its price_model_core. `used` must not be empty.
    """
    ballots = sorted(ballot for each in used for ballot in _ballots(each))
    price = _within(median(ballots), fresh)
    quarter = len(ballots) // 4
    return price, max(price - ballots[quarter], ballots[-1 - quarter] - price)


def _ballots(each: Vote) -> tuple[Fraction, Fraction, Fraction]:
    return each.price - each.confidence, each.price, each.price + each.confidence


def _within(price: Fraction, fresh: Sequence[Vote]) -> Fraction:
    """Hold the price between the lower median of the bids and the upper median of the asks.

    While fewer than half of the exchanges are faulty, an honest bid is among those up to the lower median,
    and an honest ask among those from the upper median on: the price is neither below the lowest honest bid
    nor above the highest honest ask. The three votes alone don't give this: p + c may exceed the ask.
    """
    if not fresh:
        return price
    lowest = sorted(each.bid for each in fresh)[(len(fresh) - 1) // 2]
    highest = sorted(each.ask for each in fresh)[len(fresh) // 2]
    return min(max(price, lowest), highest)


def near(one: Fraction, other: Fraction, ratio: Fraction) -> bool:
    """Whether `one` differs from `other` by at most this part of `other`."""
    return abs(one - other) <= ratio * other


def agree(prices: Sequence[Fraction], ratio: Fraction) -> bool:
    """Whether the highest is at most this part above the lowest."""
    return near(max(prices), min(prices), ratio)


def to_the_cent(dollars: Fraction) -> Decimal:
    """Dollars exact to the cent, a half cent to the even one."""
    return round(dollars * 100) * CENT
