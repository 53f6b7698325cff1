"""The first fresh source in order of preference."""

from decimal import Decimal

import pytest

from btc_price_tracker.price.fallback import Fallback
from btc_price_tracker.price.model import Status
from btc_price_tracker.price.recompute import recompute
from rounds import INTERVAL, START, STEP, Play, exact, price, reasons, says, used


@pytest.fixture
def play() -> Play:
    return Play(Fallback(INTERVAL))


def test_the_first_in_order_gives_the_price(play: Play) -> None:
    update = play(coingecko=50000, kraken=50100)
    assert (update.status, price(update), used(update)) == (Status.SINGLE_SOURCE, exact(50000), {"coingecko"})
    assert update.reason == "The price is coingecko's."
    assert reasons(update)["kraken"] == "not needed: coingecko comes first"
    assert update.tick is not None
    assert (update.tick.method, update.tick.sources) == ("fallback/1", 1)


def test_the_next_one_stands_in_and_the_reason_says_why(play: Play) -> None:
    update = play(coingecko=None, kraken=50100, gemini=50200)
    assert (update.status, price(update)) == (Status.SINGLE_SOURCE, exact(50100))
    assert update.reason == "The price is kraken's; coingecko: HTTP 503."


def test_a_stale_quote_is_passed_over(play: Play) -> None:
    old = says("kraken", 50000, START - 60_000)
    assert used(play(kraken=old, gemini=50200)) == {"gemini"}


def test_tethers_need_a_rate(play: Play) -> None:
    bare = says("okx", 50000, START + STEP, currency="USDT")
    assert play(okx=bare).status is Status.STALE
    converted = says("okx", 50000, START + 2 * STEP, currency="USDT", rate=Decimal("0.99"))
    assert price(play(okx=converted)) == 49500


def test_its_price_can_be_computed_again_whatever_the_others_say(play: Play) -> None:
    tick = play(coinbase=50000, kraken=90000, gemini=90000, okx=90000).tick
    assert tick is not None
    assert recompute(tick) == (tick.price, tick.spread) == (exact(50000), exact(5))


def test_a_source_that_fails_now_gives_way_though_its_last_quote_is_fresh(play: Play) -> None:
    failing = says("coingecko", 50000, START + STEP, fault="HTTP 503")
    update = play(coingecko=failing, coinbase=50100)
    assert (price(update), used(update)) == (exact(50100), {"coinbase"})
    assert update.reason == "The price is coinbase's; coingecko: HTTP 503."


def test_a_fresh_quote_of_a_source_that_fails_now_is_better_than_none(play: Play) -> None:
    failing = says("coingecko", 50000, START + STEP, fault="HTTP 503")
    assert used(play(coingecko=failing, coinbase=None)) == {"coingecko"}
