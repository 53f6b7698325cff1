"""Recorded days through the whole path, faster than life: real HTTP, parsers, breakers and the price rule.

    python bench/days.py [closes.csv.gz] [--interval 60] [--lies]

The exchanges answer over loopback HTTP with the minute closes of the table, CoinGecko with their mean a minute ago.
Time is simulated and shared: each round is one interval later, whenever the one before is done. With a file, the
table also needs Binance.US BTC/USDT, which plays Binance. Without one: the 24 hours that ship with the package.

With --lies the days are played six times more: each of the three USD venues 4.9 % too high, then too low.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import chain, product
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

import structlog

from btc_price_tracker.clock import Clock
from btc_price_tracker.playback import Playback, Recording, Ticker, load, packaged
from btc_price_tracker.playback.recording import MINUTE
from btc_price_tracker.price.consensus import Consensus
from btc_price_tracker.price.model import Kind, Status, Update
from btc_price_tracker.price.recompute import recompute
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.endpoint import open_client
from btc_price_tracker.sources.panel import Panel, deadline
from btc_price_tracker.sources.tether import TETHER
from btc_price_tracker.sources.upstream import connect
from btc_price_tracker.testing import LeapingClock
from disagreement import LIES, RULES, VENUES, Closes, Rule, basis_points, heard, quantile

OURS = "**vote3-ped/1 (ours)**"
TETHERED = "binance"  # played by Binance.US BTC/USDT
TETHERED_COLUMN = "binanceus_btcusdt"
DEPEGS = (datetime(2023, 3, 11, tzinfo=UTC), datetime(2023, 3, 13, tzinfo=UTC))  # USDC, and USDT in its wake

Lie = tuple[str, Decimal]  # who lies, and the factor on its prices


@dataclass(frozen=True, slots=True)
class Days:
    """A market of recorded closes, at the time at which they were recorded; one venue may lie."""

    in_dollars: Recording
    in_tethers: Recording | None
    start: int  # ms since the epoch
    minutes: int
    truth: Mapping[str, Sequence[Decimal | None]]  # the closes of the three USD venues
    lie: Lie | None = None

    @classmethod
    def read(cls, path: Path | None) -> "Days":
        """The packaged day, or the table in this file. Raises ValueError, OSError."""
        closes = packaged() if path is None else load(path)
        tethers = None if path is None else load(path, {TETHERED: TETHERED_COLUMN})
        return cls(
            Recording(closes, closes.start, speed=1),
            None if tethers is None else Recording(tethers, closes.start, speed=1),
            closes.start,
            closes.minutes,
            {venue: closes.prices[venue] for venue in VENUES},
        )

    def with_lie(self, liar: str, factor: Decimal) -> "Days":
        """The same days, one venue's prices times this factor."""
        return replace(self, lie=(liar, factor))

    @property
    def sources(self) -> tuple[str, ...]:
        """Whom to ask, in order of preference."""
        return (*VENUES, *([TETHERED] if self.in_tethers else []), "coingecko")

    def closes(self, now: int) -> Closes:
        """What the three USD venues traded at in this minute."""
        return {venue: self.truth[venue][(now - self.start) // MINUTE] for venue in VENUES}

    def ticker(self, name: str, now: int) -> Ticker | None:
        """What this venue says, true or not."""
        recording = self.in_tethers if name == TETHERED else self.in_dollars
        said = None if recording is None else recording.ticker(name, now)
        return said.scaled(self.lie[1]) if said and self.lie and name == self.lie[0] else said


class Round(NamedTuple):
    """One round as the world saw it, and as it was."""

    now: int  # ms since the epoch
    closes: Closes  # what the USD venues traded at
    heard: Closes  # what every exchange said over HTTP, in dollars; None where nothing fresh came
    status: Status
    price: Decimal | None
    recomputed: bool  # whether anyone can compute price and spread again from the tick

    @property
    def fresh(self) -> int:
        """How many exchanges had a fresh price."""
        return len(heard(self.heard))

    @property
    def all_up(self) -> bool:
        """Whether all three USD venues traded in this minute."""
        return len(heard(self.closes)) == len(VENUES)

    @property
    def stray(self) -> float:
        """Basis points between the published price and the median of the USD venues that traded."""
        return basis_points(float(self.price or "nan"), median(heard(self.closes)))


async def play(days: Days, interval: int, minutes: range | None = None) -> AsyncIterator[Round]:
    """Every round of these minutes of the days (all of them), `interval` seconds apart."""
    chosen = minutes or range(days.minutes)
    clock = LeapingClock(days.start + chosen.start * MINUTE)
    policy = Consensus(interval)
    async with Playback(days, clock) as playback, ask(days.sources, playback, clock, interval) as panel:
        for due in range(0, len(chosen) * 60, interval):
            await clock.sleep(due - clock.monotonic())
            now = clock.now()
            update = policy.decide(await panel.ask(), clock.now())
            yield judged(now, days.closes(now), update)


@asynccontextmanager
async def ask(
    sources: Iterable[str], playback: Playback, clock: Clock, interval: float
) -> AsyncIterator[Panel]:
    """The sources at the playback, over one HTTP client, as the service has them."""
    async with open_client() as client:
        at = partial(connect, client=client, clock=clock, random=Random(1))
        yield Panel(
            upstreams=[at(replace(SOURCES[name], url=playback.url(name))) for name in sources],
            clock=clock,
            seconds=deadline(interval),
            fresh=lambda *_: True,  # only a fallback asks
            tether=at(replace(TETHER, url=playback.url("kraken"))),
        )


def judged(now: int, closes: Closes, update: Update) -> Round:
    """The round that ended in this update."""
    exchanges = [said for said in update.quotes if said.kind is Kind.EXCHANGE]
    return Round(
        now,
        closes,
        {said.source: said.price if said.fresh else None for said in exchanges},
        update.status,
        None if update.tick is None else update.tick.price,
        _is_recomputed(update),
    )


def _is_recomputed(update: Update) -> bool:
    """A stale tick repeats a price that isn't in its quotes, and says so: nothing is to be computed."""
    tick = update.tick
    if tick is None or tick.status is Status.STALE:
        return tick is None or recompute(tick) is None
    return recompute(tick) == (tick.price, tick.spread)


def longest_silence(rounds: Sequence[Round], venue: str) -> list[Round]:
    """The longest run of rounds in which this venue didn't trade."""
    longest: list[Round] = []
    run: list[Round] = []
    for each in rounds:
        run = [*run, each] if each.closes[venue] is None else []
        longest = max(longest, run, key=len)
    return longest


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
    outage = longest_silence(rounds, "coinbase")
    print("| | rounds | ok | degraded | single_source | stale | worst, bp |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    print(counts("all", rounds))
    print(counts("all three USD venues trade", [each for each in rounds if each.all_up]))
    print(
        counts(
            f"Coinbase silent from {datetime.fromtimestamp(outage[0].now / 1000, UTC):%d %B %H:%M}", outage
        )
    )
    print(
        counts("stablecoins off their pegs, 11 and 12 March", [r for r in rounds if started <= r.now < ended])
    )
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


async def print_lies(days: Days, interval: int, honest: Sequence[Round]) -> None:
    """Play the days again for each lie, and compare every rule with what it said without."""
    true = prices(honest)
    cases: dict[str, list[list[float]]] = {name: [] for name in true}
    for lie in product(VENUES, LIES):
        lied = [each async for each in play(days.with_lie(*lie), interval)]
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
    parser.add_argument("--lies", action="store_true", help="also with one of three lying by 4.9 %%")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))  # outages are expected here
    days = Days.read(arguments.path)
    rounds = [each async for each in play(days, arguments.interval)]
    print_statuses(rounds)
    print_distances(rounds)
    if arguments.lies:
        await print_lies(days, arguments.interval, rounds)


if __name__ == "__main__":
    asyncio.run(main())
