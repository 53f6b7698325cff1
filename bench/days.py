"""Recorded days through the whole path, faster than life: real HTTP, parsers, breakers and the price rule.

    python bench/days.py [closes.csv.gz] [--interval 60] [--lies | --lies-alternate]

The exchanges answer over loopback HTTP with the minute closes of the table, CoinGecko with their mean a minute ago.
Time is simulated and shared: each round is one interval later, whenever the one before is done. With a file, the
table also needs Binance.US BTC/USDT, which plays Binance. Without one: the 24 hours that ship with the package.

With --lies the days are played with the three USD venues alone, once as they were and six times with one of them
4.9 % too high or too low: all the time, or with --lies-alternate in every second hour.
"""

import argparse
import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain, product
from pathlib import Path
from statistics import median

import structlog

from btc_price_tracker.price.model import Status
from btc_price_tracker.price.parameters import METHOD
from disagreement import LIES, RULES, VENUES, Rule, basis_points, heard, quantile
from played import Days, Round, longest_silence, play

OURS = f"**{METHOD} (ours)**"
DEPEGS = (datetime(2023, 3, 11, tzinfo=UTC), datetime(2023, 3, 13, tzinfo=UTC))  # USDC, and USDT in its wake


def by(rule: Rule, rounds: Iterable[Round]) -> list[float]:
    """What a rule makes of the same answers."""
    return [rule(each.heard) for each in rounds]


def prices(rounds: Sequence[Round]) -> dict[str, list[float]]:
    """Every rule's price of each round, ours as it was published."""
    peers = {name: by(make(), rounds) for name, make in RULES.items() if name != OURS}
    return {**peers, OURS: [float(each.price or "nan") for each in rounds]}


def strays(rounds: Sequence[Round], said: Sequence[float], true: Sequence[float]) -> list[float]:
    """Basis points between what was said and the truth, in the rounds in which all three USD venues traded."""
    return [basis_points(a, b) for each, a, b in zip(rounds, said, true, strict=True) if each.all_up]


def row(name: str, values: Sequence[float], parts: Sequence[float]) -> str:
    """A row of a table: these quantiles and the worst, in basis points."""
    figures = [quantile(values, part) for part in parts] + [max(values)]
    return f"| {name} | {' | '.join(f'{figure:.1f}' for figure in figures)} |"


def counts(name: str, rounds: Sequence[Round]) -> str:
    """A row of a table: how a stretch of time went."""
    by_status = [sum(each.status is status for each in rounds) for status in Status]
    published = [each for each in rounds if each.price is not None and heard(each.closes)]
    worst = max((each.stray for each in published), default=0.0)
    return f"| {name} | {len(rounds)} | {' | '.join(map(str, by_status))} | {worst:.1f} |"


def print_statuses(rounds: Sequence[Round]) -> None:
    started, ended = (day.timestamp() * 1000 for day in DEPEGS)
    print("| | rounds | ok | degraded | single_source | stale | worst, bp |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    print(counts("all", rounds))
    print(counts("all three USD venues trade", [each for each in rounds if each.all_up]))
    for venue in VENUES:
        if outage := longest_silence(rounds, venue):
            start = datetime.fromtimestamp(outage[0].now / 1000, UTC)
            print(counts(f"{venue} silent from {start:%d %B %H:%M}", outage))
    if depegs := [each for each in rounds if started <= each.now < ended]:
        print(counts("stablecoins off their pegs, 11 and 12 March", depegs))
    print(
        f"\n`ok` with fewer than three fresh: {sum(r.status is Status.OK and r.fresh < 3 for r in rounds)};",
        end=" ",
    )
    print(f"recomputed: {sum(each.recomputed for each in rounds)} of {len(rounds)}\n")


def print_distances(rounds: Sequence[Round]) -> None:
    middles = [median(heard(each.closes)) if each.all_up else 0.0 for each in rounds]
    print("| bp from the median of the three | p95 | p99 | worst |\n|---|---:|---:|---:|")
    for name, said in prices(rounds).items():
        print(row(name, strays(rounds, said, middles), (0.95, 0.99)))


async def print_lies(days: Days, interval: int, *, alternate: bool) -> None:
    """Play the days for each lie, and compare every rule with its price without it."""
    honest = [each async for each in play(days, interval)]
    true = prices(honest)
    cases: dict[str, list[list[float]]] = {name: [] for name in true}
    for lie in product(VENUES, LIES):
        lied = [each async for each in play(days.with_lie(*lie, alternate=alternate), interval)]
        for name, said in prices(lied).items():
            cases[name].append(strays(honest, said, true[name]))
    print("\n| bp from the price without the lie, all six lies | p95 | p99 | worst |\n|---|---:|---:|---:|")
    for name, each in cases.items():
        print(row(name, list(chain.from_iterable(each)), (0.95, 0.99)))
    print("\n| ours, lie by lie | p95 | p99 | worst |\n|---|---:|---:|---:|")
    for (liar, factor), case in zip(product(VENUES, LIES), cases[OURS], strict=True):
        print(row(f"{liar} × {factor}", case, (0.95, 0.99)))


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path, nargs="?")
    parser.add_argument("--interval", type=int, default=60, help="seconds between rounds")
    lies = parser.add_mutually_exclusive_group()
    lies.add_argument("--lies", action="store_true", help="one of the three lies by 4.9 %%, in turn")
    lies.add_argument("--lies-alternate", action="store_true", help="the same in every second hour")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))  # outages are expected here
    days = Days.read(arguments.path)
    if arguments.lies or arguments.lies_alternate:
        await print_lies(days.without_tethers(), arguments.interval, alternate=arguments.lies_alternate)
        return
    rounds = [each async for each in play(days, arguments.interval)]
    print_statuses(rounds)
    print_distances(rounds)


if __name__ == "__main__":
    asyncio.run(main())
