"""The circuit breaker, with time as an argument."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.sources.breaker import HORIZON, JITTER, MAX_OPEN_TIME, MIN_OPEN_TIME, Breaker, Circuit


def breaker_after(outcomes: str, *, every: float = 1.0) -> Breaker:
    """A breaker that has seen these outcomes, `.` for good and `x` for bad, a second apart, the last at 0."""
    breaker = Breaker(Random(1))
    for age, outcome in zip(range(len(outcomes) - 1, -1, -1), outcomes, strict=True):
        breaker.record(ok=outcome == ".", now=-age * every)
    return breaker


@pytest.mark.parametrize(
    ("outcomes", "circuit"),
    [
        ("", Circuit.CLOSED),
        ("..........", Circuit.CLOSED),
        ("xx", Circuit.CLOSED),  # too few to speak of a rate
        ("xxx", Circuit.OPEN),
        ("..xx", Circuit.OPEN),  # half of them
        ("...xx", Circuit.CLOSED),  # less than half
        ("......xxxx", Circuit.CLOSED),
        (".....xxxxx", Circuit.OPEN),
        ("....................xxxxx", Circuit.OPEN),  # only the last ten count
    ],
)
def test_it_opens_when_half_of_the_recent_outcomes_are_failures(outcomes: str, circuit: Circuit) -> None:
    assert breaker_after(outcomes).circuit is circuit


def test_old_outcomes_do_not_count() -> None:
    assert breaker_after("xxx", every=HORIZON).circuit is Circuit.CLOSED


def test_one_probe_is_allowed_after_the_open_time() -> None:
    breaker = breaker_after("xxx")
    wait = breaker.wait(0.0)
    assert MIN_OPEN_TIME * (1 - JITTER) <= wait <= MIN_OPEN_TIME * (1 + JITTER)
    assert not breaker.allow(wait - 0.001)
    assert breaker.allow(wait)
    assert breaker.circuit is Circuit.HALF_OPEN
    assert not breaker.allow(wait + 1)


def test_a_successful_probe_closes_the_circuit_and_resets_it() -> None:
    breaker = breaker_after("xxx")
    assert breaker.allow(100.0)
    breaker.record(ok=True, now=100.5)
    assert breaker.circuit is Circuit.CLOSED
    breaker.record(ok=False, now=101.0)
    breaker.record(ok=False, now=102.0)
    assert breaker.allow(102.0)


def test_failed_probes_double_the_open_time_up_to_a_maximum() -> None:
    breaker, now = breaker_after("xxx"), 0.0
    waits = []
    for _ in range(6):
        waits.append(breaker.wait(now))
        now += waits[-1]
        assert breaker.allow(now)
        breaker.record(ok=False, now=now)
    expected = [MIN_OPEN_TIME, 2 * MIN_OPEN_TIME, *[MAX_OPEN_TIME] * 4]
    for wait, nominal in zip(waits, expected, strict=True):
        assert wait == pytest.approx(nominal, rel=JITTER)


def test_recovery_resets_the_open_time() -> None:
    breaker = breaker_after("xxx")
    for now, ok in [(100.0, False), (300.0, True), (301.0, False), (302.0, False), (303.0, False)]:
        assert breaker.allow(now)
        breaker.record(ok=ok, now=now)
    assert breaker.wait(303.0) == pytest.approx(MIN_OPEN_TIME, rel=JITTER)


def test_a_lost_probe_does_not_block_the_source() -> None:
    breaker = breaker_after("xxx")
    assert breaker.allow(100.0)
    assert not breaker.allow(101.0)
    assert breaker.allow(100.0 + MAX_OPEN_TIME)


def test_probes_of_two_breakers_are_jittered() -> None:
    waits = set()
    for seed in range(10):
        breaker = Breaker(Random(seed))
        for _ in range(3):
            breaker.record(ok=False, now=0.0)
        waits.add(breaker.wait(0.0))
    assert len(waits) == 10


@given(
    st.lists(st.tuples(st.floats(0, 100), st.sampled_from(["good", "bad", "lost"])), max_size=200),
    st.integers(),
)
def test_probes_are_single_and_never_blocked_for_good(steps: list[tuple[float, str]], seed: int) -> None:
    breaker, now = Breaker(Random(seed)), 0.0
    for pause, outcome in steps:
        now += pause
        assert 0 <= breaker.wait(now) <= MAX_OPEN_TIME * (1 + JITTER)
        before = breaker.circuit
        if not breaker.allow(now):
            assert before is not Circuit.CLOSED
            continue
        if before is not Circuit.CLOSED:
            assert not breaker.allow(now)  # a second caller while the probe is out
        if outcome != "lost":
            breaker.record(ok=outcome == "good", now=now)
            assert before is Circuit.CLOSED or (breaker.circuit is Circuit.CLOSED) == (outcome == "good")
