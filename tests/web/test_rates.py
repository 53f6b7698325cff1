"""Rates: a second's worth at once, then so many a second, in bounded memory."""

import random
import tracemalloc
from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.web.rates import MAX_ENTRIES, Rates


class Timed:
    """Rates at a time that a test sets, in seconds."""

    def __init__(self, per_second: int, max_entries: int = MAX_ENTRIES, now: float = 5.0) -> None:
        self.rates = Rates(per_second, max_entries)
        self.now = now

    def admits(self, key: Hashable = "a") -> bool:
        return self.rates.take(key, self.now) == 0

    @property
    def remaining(self) -> int:
        return self.rates.remaining(self.rates.full_after("a", self.now))


@pytest.mark.parametrize("now", [0.0, 1e7])
@pytest.mark.parametrize("per_second", [1, 3, 50, 100, 2000])
def test_burst_of_one_second_then_the_rate(per_second: int, now: float) -> None:
    timed = Timed(per_second, now=now)
    for remaining in reversed(range(per_second)):
        assert timed.admits()
        assert timed.remaining == remaining
    assert timed.rates.take("a", now) == pytest.approx(1 / per_second, abs=1e-5)
    assert timed.rates.full_after("a", now) == pytest.approx(1, abs=1e-5)
    for _ in range(3 * per_second):
        timed.now += 1 / per_second
        assert timed.admits()
        assert not timed.admits()
    timed.now += 10
    assert timed.rates.full_after("a", timed.now) == 0
    assert timed.remaining == per_second
    assert sum(timed.admits() for _ in range(2 * per_second)) == per_second


def test_keys_have_buckets_of_their_own() -> None:
    timed = Timed(1)
    assert [timed.admits(key) for key in "abab"] == [True, True, False, False]


def test_no_limit() -> None:
    timed = Timed(0)
    assert all(timed.admits() for _ in range(10_000))
    assert len(timed.rates) == 0


pauses = st.floats(0, 1.5, allow_nan=False)


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 3), pauses), max_size=200))
def test_no_key_exceeds_its_rate_in_any_window(per_second: int, steps: list[tuple[int, float]]) -> None:
    timed = Timed(per_second)
    admitted: dict[int, list[float]] = {}
    for key, pause in steps:
        timed.now += pause
        if timed.admits(key):
            admitted.setdefault(key, []).append(timed.now)
    for times in admitted.values():
        for first, begin in enumerate(times):
            for last, end in enumerate(times[first:], 1):
                assert last <= per_second * (1 + end - begin) + 1e-3


@given(st.integers(1, 3), st.lists(st.tuples(st.integers(0, 5), pauses), max_size=100))
def test_rejection_says_when_the_next_is_admitted(per_second: int, steps: list[tuple[int, float]]) -> None:
    timed = Timed(per_second)
    for key, pause in steps:
        timed.now += pause
        wait = timed.rates.take(key, timed.now)
        if wait:
            timed.now += wait
            assert timed.admits(key)


def test_a_million_addresses_take_bounded_memory_and_leave_no_entry() -> None:
    timed, chance = Timed(50, max_entries=1000), random.Random(17)

    def act(number: int) -> int:
        most = 0
        for _ in range(number):
            timed.now += 1e-5
            timed.admits(chance.getrandbits(32))
            most = max(most, len(timed.rates))
        return most

    assert act(1_000_000) == 2000
    tracemalloc.start()
    try:
        act(20_000)
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
    for _ in range(2):
        timed.now += 1
        timed.admits()
    assert len(timed.rates) == 2


def test_what_is_forgotten_gives_a_burst_again() -> None:
    timed = Timed(1, max_entries=10)
    assert timed.admits()
    assert not timed.admits()
    for key in range(21):
        timed.admits(key)
    assert timed.admits()
