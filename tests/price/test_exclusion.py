"""Who is excluded: by the outer limit always, by a narrow one where more than half of the voices agree closely."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.price.exclusion import Exclusion
from btc_price_tracker.price.parameters import EXCLUDE_CLOSE

NAMES = ("a", "b", "c", "d", "e")


def admitted(*prices: float) -> set[str]:
    quotes = {name: Fraction(str(price)) for name, price in zip(NAMES, prices, strict=False)}
    return set(Exclusion().review(quotes, {name: name for name in quotes}).admitted)


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ((100, 100, 101), "abc"),  # one percent is not beyond it
        ((100, 100, 101.1), "ab"),
        ((100, 100, 98.9), "ab"),
        ((100, 100.4, 101.5), "abc"),  # 1.1 %, and three times the gap is 1.2 %
        ((100, 100.4, 101.7), "ab"),
        ((100, 100.6, 104), "abc"),  # the others don't agree closely
        ((100, 100.6, 106), "ab"),  # the outer limit
        ((100, 104.9), "ab"),  # one other is no majority
        ((100, 100, 104.9, 104.9), "abcd"),  # nor are two of four
        ((100, 100, 100, 104.9, 104.9), "abc"),
        ((100, 102, 102, 104.9, 104.9), "abcde"),
    ],
)
def test_the_limit_follows_the_agreement_of_the_others(prices: tuple[float, ...], expected: str) -> None:
    assert admitted(*prices) == set(expected)


def test_sources_of_one_voice_are_no_majority() -> None:
    prices = {
        "kraken": Fraction(100),
        "okx": Fraction(100),
        "binance": Fraction(100),
        "gemini": Fraction(103),
    }
    voices = dict.fromkeys(prices, "kraken") | {"gemini": "gemini"}
    assert Exclusion().review(prices, voices).admitted == frozenset(prices)


@given(st.data())
def test_a_minority_never_excludes_an_honest_exchange(data: st.DataObject) -> None:
    """Under the assumption that honest exchanges lie within H of each other, for any H up to the narrow limit."""
    reach = data.draw(st.fractions(0, EXCLUDE_CLOSE))
    count = data.draw(st.integers(1, 5))
    faulty = (
        data.draw(st.sets(st.sampled_from(NAMES[:count]), max_size=(count - 1) // 2)) if count > 2 else set()
    )
    exclusion, voices = Exclusion(), {name: name for name in NAMES}
    for _ in range(4):
        base = data.draw(st.fractions(1, 100_000, max_denominator=100))
        prices = {
            name: data.draw(st.fractions(base / 2, base * 2))
            if name in faulty
            else base * (1 + reach * data.draw(st.fractions(0, 1, max_denominator=50)))
            for name in NAMES[:count]
        }
        assert exclusion.review(prices, voices).admitted >= prices.keys() - faulty


def test_a_minority_excludes_no_one_whatever_was_before() -> None:
    """Two that are faulty now agree with no majority of the fresh, though two honest ones aren't back yet."""
    exclusion, voices = Exclusion(), {name: name for name in NAMES}
    prices = dict(zip(NAMES, map(Fraction, (100, 100, 100, 104, 104)), strict=True))
    assert exclusion.review(prices, voices).admitted == {"a", "b", "c"}
    prices = dict(zip(NAMES, map(Fraction, (103, 103, 100, 100, 100)), strict=True))
    eligibility = exclusion.review(prices, voices)
    assert (set(eligibility.admitted), set(eligibility.far), eligibility.split) == ({"c"}, set("ab"), False)
    assert exclusion.review(prices, voices).admitted == {"c", "d", "e"}


def test_the_excluded_is_far_until_another_is_near() -> None:
    """Also while the others don't agree closely; near one of them, it may be honest again."""
    exclusion, voices = Exclusion(), {name: name for name in NAMES}
    far = []
    for prices in ((100, 100, 104), (100, 101, 104), (100, 101, 101.5), (100, 100, 100.5)):
        quotes = {name: Fraction(str(price)) for name, price in zip(NAMES, prices, strict=False)}
        far.append("c" in exclusion.review(quotes, voices).far)
    assert far == [True, True, False, False]
