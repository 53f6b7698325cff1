"""The targets of fuzz/, with their seeds and some mutations of these: `make fuzz` runs them for hours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets import TARGETS, seeds


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_of_a_target_raise_nothing(name: str) -> None:
    found = list(seeds(name))
    assert found
    for seed in found:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
def test_mutated_seeds_raise_nothing(name: str, data: st.DataObject) -> None:
    seed = bytearray(data.draw(st.sampled_from(list(seeds(name)))))
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(seed)))
        end = start + data.draw(st.integers(0, 8))
        seed[start:end] = data.draw(st.binary(max_size=8) | st.just(bytes(seed[:start])))
    TARGETS[name](bytes(seed[:65536]))
