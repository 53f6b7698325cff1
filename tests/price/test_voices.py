"""Quotes that rest on one source count once."""

from decimal import Decimal

import pytest

from btc_price_tracker.price.consensus import Consensus, enough
from btc_price_tracker.price.model import Answer, Kind, Quote, Status, Update
from btc_price_tracker.price.recompute import recompute
from rounds import INTERVAL, STEP, Play, price, says


@pytest.fixture
def play() -> Play:
    return Play(Consensus(INTERVAL))


def tethered(
    source: str, tethers: float, now: int, rate: str = "1", rate_from: str | None = "kraken"
) -> Answer:
    middle = Decimal(str(tethers))
    return Answer(
        source,
        Kind.EXCHANGE,
        currency="USDT",
        quote=Quote(middle, middle - 1, middle + 1),
        received_at=now,
        rate=Decimal(rate),
        rate_from=rate_from,
    )


def round_of(
    play: Play, kraken: float, rate: str, rate_from: str | None = "kraken", **others: float
) -> Update:
    """Coinbase and others in dollars, Binance and OKX in tethers, by a rate of Kraken's."""
    now = play.now + 10_000
    answers = [says("coinbase", 50_000, now), says("kraken", kraken, now)]
    answers += [says(source, cost, now) for source, cost in others.items()]
    answers += [tethered(source, 50_000, now, rate, rate_from) for source in ("binance", "okx")]
    return play.given(answers)


def test_converted_prices_count_as_one_with_the_source_of_their_rate(play: Play) -> None:
    update = round_of(play, 50_000, "1")
    assert update.status is Status.DEGRADED
    assert update.reason == (
        "2 exchanges agree; binance and okx count as one with kraken, which alone gives their USDT rate."
    )


def test_converted_prices_count_each_where_their_rate_is_confirmed(play: Play) -> None:
    update = round_of(play, 50_000, "1", rate_from=None)
    assert (update.status, update.reason) == (Status.OK, "4 exchanges agree.")


def test_source_of_the_rate_cannot_drag_the_price_along_while_it_is_ok(play: Play) -> None:
    for step in range(20):
        fall = 1 - 0.008 * step
        update = round_of(play, 50_000 * fall, f"{fall:.4f}", bitstamp=50_000, gemini=50_001)
        if update.status is Status.OK:
            assert abs(price(update) - 50_000) < 5
    assert update.status is Status.OK


def test_two_voices_far_apart_give_no_price(play: Play) -> None:
    round_of(play, 50_000, "1")
    update = round_of(play, 49_000, "0.98")
    assert update.status is Status.STALE
    assert "coinbase and kraken disagree by more than 1 %" in update.reason


def test_a_voice_of_many_does_not_exclude_a_lone_exchange(play: Play) -> None:
    update = round_of(play, 47_000, "0.94")
    assert update.status is Status.STALE
    assert not any("excluded" in (quote.reason or "") for quote in update.quotes)


def test_a_voice_of_many_does_not_make_a_lone_exchange_look_frozen(play: Play) -> None:
    for step in range(6):
        fall = 1 - 0.002 * step
        update = round_of(play, 50_000 * fall, f"{fall:.4f}")
    assert not any("frozen" in (quote.reason or "") for quote in update.quotes)


def test_price_of_joined_quotes_is_recomputed(play: Play) -> None:
    update = round_of(play, 49_950, "0.9995", bitstamp=50_020)
    assert update.tick is not None
    assert recompute(update.tick) == (update.tick.price, update.tick.spread)


def test_two_answers_with_one_voice_are_not_enough(play: Play) -> None:
    now = play.now
    joined = [says("kraken", 50_000, now), *(tethered(name, 50_000, now) for name in ("binance", "okx"))]
    assert not enough(joined, now, STEP)
    assert enough([*joined, says("coinbase", 1, now), says("gemini", 1, now)], now, STEP)
