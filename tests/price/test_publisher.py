"""Ids, ages and the end of a price; the same for both policies."""

from collections.abc import Callable

import pytest

from btc_price_tracker.price.consensus import Consensus
from btc_price_tracker.price.fallback import Fallback
from btc_price_tracker.price.model import Policy, Status, Tick
from rounds import INTERVAL, START, STEP, Play, answers, exact

Make = Callable[..., Policy]


@pytest.fixture(params=[Consensus, Fallback])
def make(request: pytest.FixtureRequest) -> Make:
    policy: Make = request.param
    return policy


def restored(age: int = 0, tick_id: int = START) -> Tick:
    return Tick(
        tick_id, exact("50000.00"), Status.STALE if age else Status.OK, 0, exact(1), age * 1000, "x/1"
    )


def test_an_id_is_the_time_of_publication(make: Make) -> None:
    play = Play(make(INTERVAL))
    tick = play(kraken=50000).tick
    assert tick is not None
    assert (tick.id, tick.timestamp) == (play.now, play.now // 1000)


def test_ids_rise_when_the_clock_is_set_back(make: Make) -> None:
    policy = make(INTERVAL)
    times = [START, START - 3_600_000, START - 3_600_000, START + 1, START + 60_000]
    ticks = [policy.decide(answers(now, {"kraken": 50000}), now).tick for now in times]
    assert [tick.id - START for tick in ticks if tick] == [0, 1, 2, 3, 60_000]


def test_an_id_is_not_given_twice_after_a_restart(make: Make) -> None:
    tick = make(INTERVAL, restored()).decide(answers(START, {"kraken": 50000}), START).tick
    assert tick is not None
    assert tick.id == START + 1


def test_ids_are_above_the_floor_wherever_the_clock_stands(make: Make) -> None:
    policy = make(INTERVAL, floor=START + 3)
    times = [START - 3_600_000, START, START + 60_000]
    ticks = [policy.decide(answers(now, {"kraken": 50000}), now).tick for now in times]
    assert [tick.id - START for tick in ticks if tick] == [4, 5, 60_000]


def test_without_a_source_the_last_price_ages_and_then_ends(make: Make) -> None:
    play = Play(make(INTERVAL))
    play(kraken=50000)
    silent = [play(kraken=None) for _ in range(32)]
    assert {update.status for update in silent} == {Status.STALE}
    ages = [update.tick.age for update in silent if update.tick]
    assert ages == list(range(10, 301, 10))
    assert silent[0].reason == "The last price stands: no source is usable; kraken: HTTP 503."
    assert silent[-1].reason == "No price for more than 300 s: no source is usable; kraken: HTTP 503."
    assert {update.reason for update in silent} == {silent[0].reason, silent[-1].reason}


def test_a_price_that_is_made_seldom_lasts_for_three_intervals(make: Make) -> None:
    policy = make(600)
    silent = [policy.decide(answers(START, {"kraken": 50000}), START)]
    silent += [policy.decide([], START + rounds * 600_000) for rounds in range(1, 5)]
    assert [update.tick.age if update.tick else None for update in silent] == [0, 600, 1200, 1800, None]
    assert silent[-1].reason == "No price for more than 1800 s: no source is usable."


def test_a_stale_tick_repeats_the_price_and_uses_nobody(make: Make) -> None:
    play = Play(make(INTERVAL))
    fresh, stale = play(kraken=50000).tick, play(kraken=None).tick
    assert fresh is not None
    assert stale is not None
    assert (stale.price, stale.spread, stale.sources) == (fresh.price, fresh.spread, 0)
    assert [judged.reason for judged in stale.quotes] == ["HTTP 503"]


def test_it_recovers_by_itself_after_the_price_ended(make: Make) -> None:
    play = Play(make(INTERVAL))
    play(kraken=50000)
    for _ in range(40):
        play(kraken=None)
    update = play(kraken=70000)
    assert (update.status, update.tick and update.tick.age) == (Status.SINGLE_SOURCE, 0)


def test_a_restored_price_goes_on_ageing_from_when_it_was_fresh(make: Make) -> None:
    update = make(INTERVAL, restored(age=120)).decide([], START + STEP)
    assert update.tick is not None
    assert update.tick.age == 130


def test_a_restored_price_that_is_too_old_is_none(make: Make) -> None:
    policy = make(INTERVAL, restored(age=295))
    assert policy.decide([], START + STEP).tick is None
    assert policy.last == restored(age=295)


def test_a_price_ends_in_time_even_if_the_clock_is_set_back(make: Make) -> None:
    policy = make(INTERVAL, restored())
    now, hour = START - 3_600_000, 0
    while policy.decide([], now).tick is not None:
        now, hour = now + STEP, hour + STEP
    assert 280_000 <= hour <= 320_000


def test_quotes_heard_before_the_clock_was_set_back_do_not_stay_fresh(make: Make) -> None:
    said = answers(START, {"kraken": 50000})
    assert make(INTERVAL).decide(said, START - 3_600_000).status is Status.STALE
