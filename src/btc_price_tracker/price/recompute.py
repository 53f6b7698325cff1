"""Recompute a published price from its quotes."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from btc_price_tracker.price.bounds import price_and_spread
from btc_price_tracker.price.model import AssessedQuote, Kind, Tick
from btc_price_tracker.price.parameters import FALLBACK_METHOD, FIRST_METHOD, METHOD
from btc_price_tracker.price.voices import by_voice
from btc_price_tracker.price.votes import combine, to_the_cent

__all__ = ["recompute"]


def recompute(tick: Tick) -> tuple[Decimal, Decimal] | None:
    """Price and spread from the raw quotes of the tick (bid, ask, last, rate, age, offset) and which of them were used.

    None where nothing was used: a stale tick repeats the price of the last that wasn't.
    Raises ValueError for a method that this version doesn't know.
    """
    if tick.method not in _METHODS:
        raise ValueError(
            f"can't recompute a price of the method {tick.method!r}: this version knows {', '.join(_METHODS)}"
        )
    if not any(quote.used for quote in tick.quotes):
        return None
    price, spread = _METHODS[tick.method](tick.quotes)
    return to_the_cent(price), to_the_cent(spread)


def _unbounded(quotes: Sequence[AssessedQuote]) -> tuple[Fraction, Fraction]:
    return combine(by_voice(quote for quote in quotes if quote.used).values())


def _bounded_by_all(quotes: Sequence[AssessedQuote]) -> tuple[Fraction, Fraction]:
    """Bounded by every fresh exchange, the excluded included."""
    used = by_voice(quote for quote in quotes if quote.used)
    exchanges = by_voice(quote for quote in quotes if quote.fresh and quote.kind is Kind.EXCHANGE)
    return combine(used.values(), list(exchanges.values()))


_METHODS: Mapping[str, Callable[[Sequence[AssessedQuote]], tuple[Fraction, Fraction]]] = {
    METHOD: price_and_spread,
    FIRST_METHOD: _bounded_by_all,
    FALLBACK_METHOD: _unbounded,
}
