"""Integers as databases store them: amounts in cents, ids within 64 bits."""

from decimal import Decimal

from btc_price_tracker.price.model import CENT, Tick

MAX_INTEGER = 2**63 - 1


def clamped(number: int) -> int:
    """The nearest 64-bit integer. No id is that large, so a comparison with it gives the same result."""
    return max(-MAX_INTEGER, min(number, MAX_INTEGER))


def cents(dollars: Decimal) -> int:
    """Convert exactly. Raises ValueError on an amount finer than a cent: a store never rounds."""
    exact = dollars * 100
    whole = int(exact)
    if whole != exact:
        raise ValueError(f"{dollars} dollars is not exact to the cent")
    return whole


def dollars(cents: int) -> Decimal:
    """The amount with two decimals: 100 is 1.00."""
    return cents * CENT


def check_cents(tick: Tick) -> None:
    """Raise ValueError unless price and spread are exact to the cent."""
    for amount in (tick.price, tick.spread):
        cents(amount)
