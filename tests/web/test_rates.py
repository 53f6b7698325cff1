"""Rates: a second's worth at once, then so many a second, in bounded memory."""

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.testing import ManualClock
from btc_price_tracker.web.rates import Rates


class Time:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("per_second", [1, 3, 50, 100, 2000])
def test_burst_of_one_second_then_the_rate(per_second: int) -> None:
    time = Time()
    rates = Rates(per_second, time)
    assert [rates.take("a").remaining for _ in range(per_second)] == [*reversed(range(per_second))]
    assert not rates.take("a").admitted
    assert rates.take("a").wait == pytest.approx(1 / per_second)
    for _ in range(3 * per_second):
        time.now += 1 / per_second
        assert rates.take("a").admitted
        assert not rates.take("a").admitted
    time.now += 10
    assert sum(rates.take("a").admitted for _ in range(2 * per_second)) == per_second


async def test_time_of_the_clock_counts() -> None:
    clock = ManualClock()
    rates = Rates(2, clock.monotonic)
    assert [rates.take("a").admitted for _ in range(3)] == [True, True, False]
    await clock.advance(0.5)
    assert [rates.take("a").admitted for _ in range(2)] == [True, False]


def test_keys_have_buckets_of_their_own() -> None:
    rates = Rates(1, Time())
    assert [rates.take(key).admitted for key in "abab"] == [True, True, False, False]


def test_no_limit() -> None:
    rates = Rates(0, Time())
    assert all(rates.take("a").admitted for _ in range(10_000))
    assert len(rates) == 0


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1.5, allow_nan=False)), max_size=200),
)
def test_no_key_exceeds_its_rate_in_any_window(per_second: int, steps: list[tuple[int, float]]) -> None:
    time = Time()
    rates = Rates(per_second, time)
    admitted: dict[int, list[float]] = {}
    for key, pause in steps:
        time.now += pause
        if rates.take(key).admitted:
            admitted.setdefault(key, []).append(time.now)
    for times in admitted.values():
        for first, begin in enumerate(times):
            for last, end in enumerate(times[first:], 1):
                assert last <= per_second * (1 + end - begin) + 1e-6


@given(
    st.integers(1, 3), st.lists(st.tuples(st.integers(0, 5), st.floats(0, 2, allow_nan=False)), max_size=100)
)
def test_rejection_says_when_the_next_is_admitted(per_second: int, steps: list[tuple[int, float]]) -> None:
    time = Time()
    rates = Rates(per_second, time)
    for key, pause in steps:
        time.now += pause
        verdict = rates.take(key)
        if not verdict.admitted:
            time.now += verdict.wait + 1e-9
            assert rates.take(key).admitted


def test_a_million_addresses_take_bounded_memory_and_leave_no_entry() -> None:
    time, chance = Time(), random.Random(17)
    rates = Rates(50, time, max_entries=1000)
    tracemalloc.start()
    try:
        for _ in range(1_000_000):
            time.now += 1e-5 * chance.random()
            rates.take(chance.getrandbits(32).to_bytes(4))
            assert len(rates) <= 2000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    for _ in range(2):
        time.now += 1
        rates.take("a")
    assert len(rates) == 2


def test_what_is_forgotten_gives_a_burst_again() -> None:
    rates = Rates(1, Time(), max_entries=10)
    assert rates.take("a").admitted
    assert not rates.take("a").admitted
    for key in range(21):
        rates.take(key)
    assert rates.take("a").admitted
