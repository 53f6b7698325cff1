"""The price that quotes give, held between bids and asks that a faulty minority cannot move."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from msgspec.structs import replace

from btc_price_tracker.price.model import AssessedQuote, Kind, QuoteState
from btc_price_tracker.price.voices import by_voice
from btc_price_tracker.price.votes import Vote, combine


def price_and_spread(quotes: Sequence[AssessedQuote]) -> tuple[Fraction, Fraction]:
    """Price and spread in dollars, not rounded, of a decided round's quotes, of which at least one must be used."""
    used = by_voice(each for each in quotes if each.used)
    return combine(used.values(), bounding(quotes))


def bounding(quotes: Iterable[AssessedQuote]) -> Sequence[Vote]:
    """The votes whose bids and asks bound the price, without offsets: of the fresh exchanges not far from the others.

    With n voices, of which (n - 1) // 2 may be faulty, that holds while the others are at least as many as the faulty:
    otherwise all of them bound it. The proof: docs/decisions/consensus.md.
    """
    fresh = [replace(each, offset=None) for each in quotes if each.fresh and each.kind is Kind.EXCHANGE]
    everyone = by_voice(fresh)
    remaining = by_voice(each for each in fresh if each.state is not QuoteState.EXCLUDED)
    faulty = (len(everyone) - 1) // 2
    few = len(everyone) - len(remaining) <= len(everyone) - 2 * faulty
    return list((remaining if few else everyone).values())
