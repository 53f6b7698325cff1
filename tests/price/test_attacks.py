"""The attacks of bench/attacks.py, shortened: none moves the price outside the honest quotes."""

import pytest

from attacks import ATTACKS, Scene


@pytest.mark.parametrize(("restarts", "false_times"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_moves_no_price_outside_the_honest_quotes(
    name: str, *, restarts: bool, false_times: bool
) -> None:
    outcome = Scene(ATTACKS[name], restarts, false_times).play(rounds=400)
    assert outcome.worst == 0
    assert outcome.ok > 0
