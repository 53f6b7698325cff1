"""Learned offsets: no step where voters come and go, nothing subtracted while all of them vote."""

from decimal import Decimal

import pytest

from btc_price_tracker.price.consensus import Consensus
from btc_price_tracker.price.model import AssessedQuote, QuoteState, Status, Update
from btc_price_tracker.price.recompute import recompute
from rounds import INTERVAL, Play, exact, price

HOUR = 360  # rounds
# Ten basis points apart: with two of them, the middle would be 5 bp from the price of all three.
THREE = {"coinbase": 50000, "kraken": 50050, "bitstamp": 50100}


@pytest.fixture
def play() -> Play:
    return Play(Consensus(INTERVAL))


def learn(play: Play, rounds: int = HOUR) -> Update:
    for _ in range(rounds):
        update = play(THREE)
    return update


def quote(update: Update, source: str) -> AssessedQuote:
    return next(each for each in update.quotes if each.source == source)


def test_while_all_vote_nothing_is_subtracted(play: Play) -> None:
    update = learn(play)
    assert price(update) == exact(50050)
    assert {each.offset for each in update.quotes} == {None}


def test_the_usual_distance_is_learned_within_half_lives(play: Play) -> None:
    update = learn(play, HOUR // 2)
    learned = quote(update, "bitstamp").usual_offset
    assert learned is not None
    assert Decimal("4.6") < learned * 10_000 < Decimal("5.2")  # half of the 10 bp
    assert quote(update, "kraken").usual_offset == 0


@pytest.mark.parametrize("missing", ["coinbase", "bitstamp"])
def test_an_outage_makes_no_step(play: Play, missing: str) -> None:
    learn(play)
    update = play({**THREE, missing: None})
    assert abs(price(update) - exact(50050)) < Decimal("0.02")
    assert update.tick is not None
    assert recompute(update.tick) == (update.tick.price, update.tick.spread)


def test_an_exclusion_makes_no_step(play: Play) -> None:
    learn(play)
    update = play({**THREE, "coinbase": 52500})
    assert quote(update, "coinbase").state is QuoteState.EXCLUDED
    assert abs(price(update) - exact(50050)) < Decimal("0.02")


def test_an_outage_before_anything_is_learned_makes_no_step(play: Play) -> None:
    play(THREE)
    assert abs(price(play({**THREE, "bitstamp": None})) - exact(50050)) < Decimal("0.02")


def test_during_an_outage_the_price_follows_those_that_remain(play: Play) -> None:
    learn(play)
    play({**THREE, "bitstamp": None})
    moved = play({"coinbase": 51000, "kraken": 51051, "bitstamp": None})
    assert price(moved) == pytest.approx(Decimal(51051), abs=Decimal(1))


def test_after_a_return_the_price_is_that_of_all(play: Play) -> None:
    learn(play)
    play({**THREE, "bitstamp": None})
    update = play(THREE)
    assert update.status is Status.OK
    assert abs(price(update) - exact(50050)) < Decimal("0.02")


def test_offsets_fade_while_there_is_nothing_to_learn_from(play: Play) -> None:
    learned = quote(learn(play), "coinbase").usual_offset
    for _ in range(4 * HOUR):
        update = play({**THREE, "bitstamp": None})
    faded = quote(update, "coinbase").usual_offset
    assert learned is not None
    assert faded is not None
    assert Decimal("0.4") < faded / learned < Decimal("0.65")


def test_a_slow_drift_teaches_no_more_than_the_limit(play: Play) -> None:
    learn(play)
    for step in range(3 * HOUR):
        update = play({**THREE, "bitstamp": 50100 + min(step / 2, 350)})
    learned = quote(update, "bitstamp").usual_offset
    assert learned is not None
    assert learned <= Decimal("0.002")
    # Whatever it taught: with another one gone, the price stays within the quotes of those that vote.
    alone = play({"coinbase": None, "kraken": 50050, "bitstamp": 50450})
    assert exact(50049) <= price(alone) <= exact(50451)


def test_a_source_that_is_no_longer_configured_makes_no_step(play: Play) -> None:
    """While one is missing, offsets are subtracted; once it isn't expected any more, none is."""
    learn(play)
    for _ in range(3):
        before = play({**THREE, "bitstamp": None})
    after = play(coinbase=50000, kraken=50050)
    assert abs(price(after) - price(before)) < Decimal("0.2")  # the correction fades by this much in a round


def test_one_price_before_a_pause_teaches_little(play: Play) -> None:
    play(THREE)
    play.now += 3_600_000
    learned = quote(play(THREE), "bitstamp").usual_offset
    assert learned is not None
    assert 0 < learned * 10_000 < Decimal("0.1")


def test_the_correction_is_limited(play: Play) -> None:
    """From 50050 to the middle of the other two are 40 bp: half of them are carried over."""
    play(coinbase=50000, kraken=50050, bitstamp=50450)
    after = price(play(coinbase=None, kraken=50050, bitstamp=50450))
    assert abs(after - exact(50150)) < 1
