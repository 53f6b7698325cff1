"""Attacks on the price by a faulty minority: how far the published price gets outside the honest quotes.

    python bench/attacks.py

Honest exchanges follow one random walk at distances of their own, a few basis points apart, each with a book 2 bp
wide. The attackers know every honest quote of the round. Eight hours at an interval of 10 s for each attack.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import NamedTuple

from btc_price_tracker.price.consensus import Consensus
from btc_price_tracker.price.model import Answer, Kind, Quote, Status, Tick
from btc_price_tracker.price.parameters import RECENT

INTERVAL = 10  # seconds
ROUNDS = 8 * 360
START = 1_700_000_000_000
CENT = Decimal("0.01")
HONEST = {"coinbase": 0, "kraken": 4, "bitstamp": -3}  # usual distances in bp
HALF_SPREAD = 1  # bp
FALSE_TIMES = (-29_000, 29_000, -5_000, 3_600_000, -3_600_000, 0)  # ms from the true time of a quote, in turn
BP = 10_000

Prices = Mapping[str, float]
# The factor on the base price that an attacker quotes in this round, for each attacker; None for no answer.
Attack = Callable[[int, Prices, float], Sequence[float | None]]


class Outcome(NamedTuple):
    """The result of one attack, in basis points outside the honest quotes."""

    worst: float  # of any price
    worst_ok: float  # of a price that was `ok`
    ok: int  # rounds
    withheld: int  # rounds without a new price


def drift(number: int, _: Prices, base: float) -> Sequence[float | None]:
    """Half a percent a minute away, from the second hour on."""
    return [base * 1.005 ** max(0, (number - 360) / 6)]


def alternate(number: int, _: Prices, base: float) -> Sequence[float | None]:
    """4.9 % off in every second minute."""
    return [base * (1.049 if number // 6 % 2 else 1)]


def copy_and_jump(number: int, honest: Prices, _: float) -> Sequence[float | None]:
    """A copy of an honest exchange for most of an hour, then 0.99 % above it for a minute."""
    return [honest["kraken"] * (1.0099 if number % 360 > 353 else 1)]


def poison(number: int, _: Prices, base: float) -> Sequence[float | None]:
    """Teach an offset of 20 bp over hours; then, while an honest exchange is out, quote without it."""
    return [base * (1.002 if number < 1800 else 0.998)]


def early(number: int, _: Prices, base: float) -> Sequence[float | None]:
    """0.99 % off during the first ten minutes, then honest, then 4.9 % off."""
    return [base * (1.0099 if number < 60 else 1 if number < 720 else 1.049)]


def collude(number: int, _: Prices, base: float) -> Sequence[float | None]:
    """Two of five: both 0.6 % off, then both 4.9 %, then one on either side."""
    phase = number // 120 % 3
    return [[base * 1.006] * 2, [base * 1.049] * 2, [base * 1.009, base * 0.991]][phase]


ATTACKS: Mapping[str, Attack] = {
    "drifts 0.5 % a minute": drift,
    "alternates": alternate,
    "copies, then jumps": copy_and_jump,
    "poisons offsets": poison,
    "lies after the start": early,
    "two of five collude": collude,
}


@dataclass(frozen=True, slots=True)
class Scene:
    """One attack; with `restarts`, the policy is replaced every 97 rounds by one that goes on from its ticks.

    With `false_times`, the attackers lie about the time of their quotes as well.
    """

    attack: Attack
    restarts: bool = False
    false_times: bool = False

    def play(self, seed: int = 1, rounds: int = ROUNDS) -> Outcome:
        """Play it, and compare every price with the honest quotes of its round."""
        random, base, policy = Random(seed), 50_000.0, Consensus(INTERVAL)
        recent: list[Tick] = []
        outside: list[tuple[float, Status]] = []
        for number in range(rounds):
            base *= 1 + random.gauss(0, 3) / BP
            honest = {name: base * (1 + (own + random.gauss(0, 2)) / BP) for name, own in HONEST.items()}
            absent = "coinbase" if self.attack is poison and number >= 1800 else None
            now = START + number * INTERVAL * 1000
            lies = {f"liar{each}": lie for each, lie in enumerate(self.attack(number, honest, base))}
            error = FALSE_TIMES[number // 3 % len(FALSE_TIMES)] if self.false_times else 0
            answers = [_answer(name, each, now) for name, each in honest.items() if name != absent]
            answers += [_answer(name, each, now, error) for name, each in lies.items()]
            update = policy.decide(answers, now)
            if update.tick is not None:
                recent = [*recent[-RECENT + 1 :], update.tick]
            if self.restarts and number % 97 == 96:
                policy = Consensus(INTERVAL, recent)
            if update.tick is not None and update.status is not Status.STALE:
                voting = [each for name, each in honest.items() if name != absent]
                outside.append((_outside(float(update.tick.price), voting), update.status))
        return Outcome(
            max(each for each, _ in outside),
            max((each for each, status in outside if status is Status.OK), default=0.0),
            sum(status is Status.OK for _, status in outside),
            rounds - len(outside),
        )


def _answer(name: str, price: float | None, now: int, error: int = 0) -> Answer:
    if price is None:
        return Answer(name, Kind.EXCHANGE, fault="no answer")
    last, half = Decimal(price).quantize(CENT), Decimal(price * HALF_SPREAD / BP).quantize(CENT)
    return Answer(
        name, Kind.EXCHANGE, quote=Quote(last, last - half, last + half, now + error), received_at=now
    )


def _outside(price: float, honest: Sequence[float]) -> float:
    """Basis points outside the lowest bid and highest ask; the books are rounded to the cent."""
    lowest, highest = min(honest) * (1 - HALF_SPREAD / BP), max(honest) * (1 + HALF_SPREAD / BP)
    return max(lowest - price - 0.01, price - highest - 0.01, 0.0) / price * BP


def main() -> None:
    """Print a table of all attacks, each without and with restarts."""
    print("| attack | worst, bp outside the honest quotes | worst while `ok` | `ok` | withheld |")
    print("|---|---:|---:|---:|---:|")
    for name, attack in ATTACKS.items():
        for restarts in (False, True):
            outcome = Scene(attack, restarts).play()
            label = f"{name}, with restarts" if restarts else name
            print(
                f"| {label} | {outcome.worst:.1f} | {outcome.worst_ok:.1f} | {outcome.ok} | {outcome.withheld} |"
            )


if __name__ == "__main__":
    main()
