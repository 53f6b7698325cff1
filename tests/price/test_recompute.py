"""Recomputing prices of each version of the rule."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from btc_price_tracker.price.model import AssessedQuote, Kind, QuoteState, Status, Tick
from btc_price_tracker.price.recompute import recompute


def quote(source: str, price: int, *, used: bool = True) -> AssessedQuote:
    return AssessedQuote(
        source,
        Kind.EXCHANGE,
        last=Decimal(price),
        bid=Decimal(price - 1),
        ask=Decimal(price + 1),
        confidence=Decimal(5),
        used=used,
        state=QuoteState.USED if used else QuoteState.EXCLUDED,
    )


QUOTES = (quote("coinbase", 50000), quote("kraken", 50100), quote("gemini", 53000, used=False))
TICK = Tick(1, Decimal(50050), Status.DEGRADED, 2, Decimal(55), 0, "vote3-ped/2", QUOTES)


@pytest.mark.parametrize(
    ("method", "price"),
    [
        ("vote3-ped/1", "50099.00"),  # bounded by the excluded as well
        ("vote3-ped/2", "50050.00"),
        ("fallback/1", "50050.00"),
    ],
)
def test_each_version_has_its_bound(method: str, price: str) -> None:
    recomputed = recompute(replace(TICK, method=method))
    assert recomputed is not None
    assert recomputed[0] == Decimal(price)


def test_all_bound_the_price_where_many_are_excluded() -> None:
    """Two of five may be faulty: with two excluded, the other three alone prove nothing."""
    quotes = [quote(name, price) for name, price in (("a", 50000), ("b", 50100), ("c", 50200))]
    excluded = [quote(name, 51000, used=False) for name in ("d", "e")]
    for number, expected in ((1, "50100.00"), (2, "50199.00")):
        recomputed = recompute(replace(TICK, quotes=(*quotes, *excluded[:number])))
        assert recomputed is not None
        assert recomputed[0] == Decimal(expected)


def test_offset_is_subtracted_from_its_vote() -> None:
    shifted = replace(QUOTES[0], offset=Decimal("-0.00100000"))
    assert recompute(replace(TICK, quotes=(shifted, *QUOTES[1:]))) == (Decimal("50075.00"), Decimal("25.00"))


def test_nothing_used_gives_nothing() -> None:
    assert recompute(replace(TICK, quotes=QUOTES[2:])) is None


def test_unknown_method_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match="'vote9/1': this version knows vote3-ped/2, vote3-ped/1, fallback/1"
    ):
        recompute(replace(TICK, method="vote9/1"))
