"""Thousands of histories of three instances, and whether the invariants hold in each.

A seed makes a history: SIMULATION_SEED=34 pytest -s -k chosen runs that one and prints all that happened in it.
"""

import os
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from simulation.plan import Fault, Kind, Plan, plan
from simulation.world import History, run

BATCH = 500
BATCHES = int(os.environ.get("BATCHES", "20"))  # ten thousand histories take seven minutes of one core
# Each was a bug once: see the history of the repository.
BUGS = (12, 34, 65, 98, 368, 579, 997, 1436, 2426, 2608, 3306, 3747)
# In these the store fails while the broker loses its memory: docs/decisions/instances.md, "A limit".
KNOWN = (907, 1597, 5430, 5435)

FAULTS = st.builds(
    Fault,
    at=st.integers(2, 40).map(float),
    kind=st.sampled_from([kind for kind in Kind if kind is not Kind.CLOCK]),
    target=st.integers(0, 5),
    seconds=st.integers(1, 20).map(float),
)


def check(history: History) -> None:
    assert not history.violations, history.trace()


@pytest.mark.parametrize("seed", BUGS)
def test_histories_that_showed_a_bug(seed: int) -> None:
    check(run(plan(seed)))


@pytest.mark.xfail(strict=True, reason="the store fails while the broker loses its memory")
@pytest.mark.parametrize("seed", KNOWN)
def test_known_histories(seed: int) -> None:
    check(run(plan(seed)))


@hypothesis_settings(max_examples=100)
@given(st.lists(FAULTS, max_size=6), st.integers(0, 2**32))
def test_combinations_of_faults(faults: Sequence[Fault], seed: int) -> None:
    check(run(Plan(seed, 5.0, 3, 2, tuple(sorted(faults, key=lambda fault: fault.at)))))


def test_seeds() -> None:
    for seed in range(200):
        check(run(plan(seed)))


def test_seed_gives_the_same_history_each_time() -> None:
    assert run(plan(98)).trace() == run(plan(98)).trace()


@pytest.mark.proof
@pytest.mark.timeout(600)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_ten_thousand_seeds(batch: int) -> None:
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        if seed not in KNOWN:
            check(run(plan(seed)))


@pytest.mark.skipif("SIMULATION_SEED" not in os.environ, reason="SIMULATION_SEED names a history to show")
def test_chosen_seed() -> None:
    history = run(plan(int(os.environ["SIMULATION_SEED"])))
    sys.stdout.write(history.trace())
    check(history)
