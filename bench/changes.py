"""How far the price moves because a venue falls silent, returns or is excluded, on recorded days.

    python bench/changes.py [closes.csv.gz] [--interval 10]

The three USD venues are played without the HTTP between, `interval` seconds apart. Each venue in turn is silent, or
4.9 % off, for 20 minutes at a time, with 40 minutes between. Of each round in which that begins or ends, the move of
the price is compared with its move in the same round of the days as they were.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from btc_price_tracker.price.consensus import Consensus
from btc_price_tracker.price.model import Answer, Kind, Quote
from disagreement import VENUES, Closes, basis_points, heard, quantile, read

ABSENT, PERIOD = (
    1200,
    3620,
)  # s; the period is no multiple of a minute, so that changes come within minutes, too
LIE = Decimal("1.049")


def prices(
    minutes: Sequence[Closes], interval: int, changed: str | None, factor: Decimal | None
) -> list[float]:
    """The price of each round, with the prices of one venue changed while that is due; without a factor it's silent."""
    policy, found = Consensus(interval), []
    for second in range(0, len(minutes) * 60, interval):
        now = (second + 1) * 1000
        answers = []
        for venue, close in minutes[second // 60].items():
            quoted = close
            if close is not None and venue == changed and is_changed(second):
                quoted = close * factor if factor else None
            quote = None if quoted is None else Quote(quoted, time=now)
            fault = "no trade" if quoted is None else None
            answers.append(Answer(venue, Kind.EXCHANGE, quote=quote, received_at=now, fault=fault))
        tick = policy.decide(answers, now).tick
        found.append(float(tick.price) if tick else float("nan"))
    return found


def is_changed(second: int) -> bool:
    """Whether the venue is silent or lies at this second."""
    return second % PERIOD >= PERIOD - ABSENT


def changes(count: int, interval: int, *, begins: bool) -> Iterator[int]:
    """The rounds in which the change begins, or ends."""
    for number in range(1, count):
        now, before = is_changed(number * interval), is_changed((number - 1) * interval)
        if now is not before and now is begins:
            yield number


def moves(
    found: Sequence[float], true: Sequence[float], minutes: Sequence[Closes], rounds: Iterable[int]
) -> list[float]:
    """Basis points of the price's move beyond that of the days as they were, where all three venues trade."""
    per_minute = len(found) // len(minutes)
    return [
        basis_points(found[at] / found[at - 1], true[at] / true[at - 1])
        for at in rounds
        if all(len(heard(minutes[each // per_minute])) == len(VENUES) for each in (at, at - 1))
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path, nargs="?")
    parser.add_argument("--interval", type=int, default=10, help="seconds between rounds")
    arguments = parser.parse_args()
    minutes, interval = read(arguments.path), arguments.interval
    true = prices(minutes, interval, None, None)
    cases: dict[str, list[float]] = {}
    for factor, begin, end in ((None, "falls silent", "returns"), (LIE, "is excluded", "is right again")):
        for venue in VENUES:
            found = prices(minutes, interval, venue, factor)
            for name, begins in ((begin, True), (end, False)):
                rounds = changes(len(found), interval, begins=begins)
                cases.setdefault(name, []).extend(moves(found, true, minutes, rounds))
    print("| a venue … | changes | p95, bp | p99, bp | worst, bp |\n|---|---:|---:|---:|---:|")
    for name, each in cases.items():
        figures = " | ".join(f"{quantile(each, part):.2f}" for part in (0.95, 0.99, 1))
        print(f"| {name} | {len(each)} | {figures} |")


if __name__ == "__main__":
    main()
