"""Dollars and cents, for databases that keep amounts as integers."""

from decimal import Decimal

from btc_price_tracker.price.model import CENT, Tick


def cents(dollars: Decimal) -> int:
    """Exact cents. Raises ValueError on an amount finer than a cent: a store doesn't round."""
    exact = dollars * 100
    whole = int(exact)
    if whole != exact:
        raise ValueError(f"{dollars} dollars is not exact to the cent")
    return whole


def dollars(cents: int) -> Decimal:
    """The amount with its two decimals: 100 is 1.00."""
    return cents * CENT


def check_cents(tick: Tick) -> None:
    """Raise ValueError unless the tick's own amounts are exact to the cent."""
    for amount in (tick.price, tick.spread):
        cents(amount)
