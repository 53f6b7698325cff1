"""A restart or a new leader in the middle gives the same prices as none: all memory is in the last ticks."""

from collections.abc import Mapping

import pytest

from btc_price_tracker.price.consensus import Consensus
from btc_price_tracker.price.model import QuoteState, Tick, Update
from btc_price_tracker.price.parameters import RECENT
from rounds import INTERVAL, Play

Prices = Mapping[str, float | None]

LONG = 400  # rounds
BASE = {"coinbase": 50000, "kraken": 50050, "bitstamp": 50100, "gemini": 50030}


def updates_of(rounds: list[Prices], restart: int | None = None) -> list[Update]:
    """The updates of these rounds, before one of which a new policy continues from the last ticks."""
    play, recent, updates = Play(Consensus(INTERVAL)), list[Tick](), list[Update]()
    for number, prices in enumerate(rounds):
        if number == restart:
            play.policy = Consensus(INTERVAL, recent[-RECENT:])
        update = play(prices)
        updates.append(update)
        if update.tick is not None:
            recent.append(update.tick)
    return updates


def lively(number: int) -> dict[str, float]:
    return {**BASE, "coinbase": 50000 + number % 11, "gemini": 50030 + number % 7}


def drifting(number: int) -> dict[str, float]:
    """All rise by 6 bp a round."""
    return {name: price * (1 + number * 0.0006) for name, price in BASE.items()}


def states(updates: list[Update]) -> set[QuoteState | None]:
    return {quote.state for update in updates for quote in update.quotes}


@pytest.mark.parametrize("at", range(LONG - 1, LONG + 5))
def test_offsets_and_an_exclusion_survive(at: int) -> None:
    rounds: list[Prices] = [lively(number) for number in range(LONG + 30)]
    for number in (LONG, LONG + 1):
        rounds[number] = {**rounds[number], "bitstamp": 52500.0}
    for number in range(LONG + 8, LONG + 14):
        rounds[number] = {**rounds[number], "kraken": None}
    expected = updates_of(rounds)
    assert QuoteState.EXCLUDED in states(expected)
    assert updates_of(rounds, restart=at) == expected


@pytest.mark.parametrize("at", range(3, 14))
def test_a_frozen_quote_survives(at: int) -> None:
    rounds: list[Prices] = [{**drifting(number), "gemini": 50030} for number in range(12)]
    rounds += [drifting(number) for number in range(12, 15)]
    expected = updates_of(rounds)
    assert QuoteState.FROZEN in states(expected)
    assert updates_of(rounds, restart=at) == expected


def test_what_began_before_the_last_ticks_survives() -> None:
    """An exchange that was excluded long ago and is nearly back, and one that has stood still for long."""
    rounds: list[Prices] = [{**drifting(0), "gemini": 50030} for _ in range(3)]
    rounds += [{**drifting(0), "gemini": 53000} for _ in range(2)]
    rounds += [{**drifting(0), "gemini": 50430} for _ in range(60)]
    expected = updates_of(rounds)
    assert {quote.state for quote in expected[-1].quotes if quote.source == "gemini"} == {
        QuoteState.RETURNING
    }
    assert updates_of(rounds, restart=60) == expected
    rounds = [{**drifting(min(number, 14)), "gemini": 50030} for number in range(80)]
    expected = updates_of(rounds)
    assert {quote.state for quote in expected[-1].quotes if quote.source == "gemini"} == {QuoteState.FROZEN}
    assert updates_of(rounds, restart=60) == expected


@pytest.mark.parametrize("at", range(1, 6))
def test_a_price_that_waits_for_confirmation_survives(at: int) -> None:
    pairs = [(50000, 50010), (50000, 50010), (54000, 54010), (54000, 54020), (54000, 54010), (54000, 54010)]
    rounds: list[Prices] = [dict(zip(("coinbase", "kraken"), pair, strict=True)) for pair in pairs]
    expected = updates_of(rounds)
    assert QuoteState.UNCONFIRMED in states(expected)
    assert "Confirmed" in expected[3].reason
    assert updates_of(rounds, restart=at) == expected


@pytest.mark.parametrize("at", range(1, 8))
def test_the_undisputed_price_survives(at: int) -> None:
    """Three that leave together are not `ok` while an exchange and the last undisputed price agree against them."""
    rounds: list[Prices] = [dict(BASE) for _ in range(3)]
    rounds += [{**dict.fromkeys(BASE, 51000), "gemini": 50030} for _ in range(6)]
    expected = updates_of(rounds)
    assert "agree on another price" in expected[-1].reason
    assert updates_of(rounds, restart=at) == expected
