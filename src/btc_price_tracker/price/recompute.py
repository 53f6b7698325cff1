"""Recompute a published price from its quotes."""

from decimal import Decimal

from btc_price_tracker.price.model import Kind, Tick
from btc_price_tracker.price.parameters import FALLBACK_METHOD, METHOD
from btc_price_tracker.price.voices import by_voice
from btc_price_tracker.price.votes import combine, to_the_cent

__all__ = ["recompute"]


def recompute(tick: Tick) -> tuple[Decimal, Decimal] | None:
    """Price and spread from the raw quotes of the tick (bid, ask, last, rate, age) and which of them were used.

    None where nothing was used: a stale tick repeats the price of the last that wasn't.
    Raises ValueError for a method that this version doesn't know.
    """
    if tick.method not in (METHOD, FALLBACK_METHOD):
        raise ValueError(
            f"can't recompute a price of the method {tick.method!r}: this version knows {METHOD!r}"
        )
    used = by_voice(quote for quote in tick.quotes if quote.used)
    if not used:
        return None
    bounding = by_voice(quote for quote in tick.quotes if quote.fresh and quote.kind is Kind.EXCHANGE)
    price, spread = combine(used.values(), list(bounding.values()) if tick.method == METHOD else ())
    return to_the_cent(price), to_the_cent(spread)
