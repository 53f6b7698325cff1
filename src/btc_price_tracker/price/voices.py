"""Quotes that rest on one source are one voice: those converted by a rate that it alone gives, and its own.

Else Kraken, whose USDT/USD rate turns the prices of other venues into dollars, could move them all together and be
taken for a majority.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from statistics import median

from btc_price_tracker.price.model import AssessedQuote
from btc_price_tracker.price.votes import Vote, vote

Prices = Mapping[str, Fraction]  # by source


def by_voice(quotes: Iterable[AssessedQuote]) -> dict[str, Vote]:
    """The votes of quotes, one for each voice. The voice of a lone source is the source's own vote."""
    members: dict[str, list[Vote]] = {}
    for quote in quotes:
        members.setdefault(quote.voice, []).append(vote(quote))
    return {voice: each[0] if len(each) == 1 else _joint(each) for voice, each in members.items()}


def prices_by_voice(prices: Prices, voices: Mapping[str, str]) -> dict[str, Fraction]:
    """The price of each voice: the median of its sources' prices."""
    members: dict[str, list[Fraction]] = {}
    for source, price in prices.items():
        members.setdefault(voices[source], []).append(price)
    return {voice: median(each) for voice, each in members.items()}


def middle_of(prices: Prices, voices: Mapping[str, str]) -> Fraction:
    """The median price of the voices, of which there must be one."""
    return median(prices_by_voice(prices, voices).values())


def _joint(votes: list[Vote]) -> Vote:
    """One vote for several: the medians, and a confidence no narrower than they differ."""
    prices = [each.price for each in votes]
    return Vote(
        bid=median(each.bid for each in votes),
        price=median(prices),
        ask=median(each.ask for each in votes),
        confidence=max(median(each.confidence for each in votes), (max(prices) - min(prices)) / 2),
    )
