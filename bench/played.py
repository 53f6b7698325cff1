"""Recorded days played over loopback HTTP, on a time of their own: what each round said, and what was true."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

from btc_price_tracker.clock import Clock
from btc_price_tracker.playback import Playback, Recording, Ticker, load, packaged
from btc_price_tracker.playback.market import TETHER_COINBASE
from btc_price_tracker.playback.recording import MINUTE
from btc_price_tracker.price.consensus import Consensus, enough
from btc_price_tracker.price.model import Kind, Status, Update
from btc_price_tracker.price.recompute import recompute
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.connect import connect
from btc_price_tracker.sources.endpoint import open_client
from btc_price_tracker.sources.poller import Poller, round_time_limit
from btc_price_tracker.sources.rates import Rates
from btc_price_tracker.sources.tether import TETHERS
from btc_price_tracker.testing import LeapingClock
from disagreement import VENUES, Closes, basis_points, heard

TETHERED = "binance"  # played by Binance.US BTC/USDT
IN_TETHERS = {TETHERED: "binanceus_btcusdt", TETHER_COINBASE: "coinbase_usdtusd"}

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
        tethers = None if path is None else load(path, IN_TETHERS)
        return cls(
            Recording(closes, closes.start, speed=1),
            None if tethers is None else Recording(tethers, closes.start, speed=1),
            closes.start,
            closes.minutes,
            {venue: closes.prices[venue] for venue in VENUES},
        )

    def without_tethers(self) -> "Days":
        """The same days, with the three USD venues alone."""
        return replace(self, in_tethers=None)

    def with_lie(self, liar: str, factor: Decimal) -> "Days":
        """The same days, one venue's prices times this factor."""
        return replace(self, lie=(liar, factor))

    @property
    def sources(self) -> tuple[str, ...]:
        """The polled sources, in order of preference."""
        return (*VENUES, *([TETHERED] if self.in_tethers else []), "coingecko")

    def closes(self, now: int) -> Closes:
        """What the three USD venues traded at in this minute."""
        return {venue: self.truth[venue][(now - self.start) // MINUTE] for venue in VENUES}

    def ticker(self, name: str, now: int) -> Ticker | None:
        """What this venue says, true or not."""
        recording = self.in_tethers if name in IN_TETHERS else self.in_dollars
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
    async with (
        Playback(days, clock) as playback,
        open_poller(days.sources, playback, clock, interval) as poller,
    ):
        for due in range(0, len(chosen) * 60, interval):
            await clock.sleep(due - clock.monotonic())
            now = clock.now()
            update = policy.decide(await poller.poll(), clock.now())
            yield judged(now, days.closes(now), update)


@asynccontextmanager
async def open_poller(
    sources: Collection[str], playback: Playback, clock: Clock, interval: float
) -> AsyncIterator[Poller]:
    """The sources at the playback, over one HTTP client, as the service has them."""
    async with open_client() as client:
        at = partial(connect, client=client, clock=clock, random=Random(1))
        rates = {name: at(replace(source, url=playback.url(name))) for name, source in TETHERS.items()}
        yield Poller(
            sources=[at(replace(SOURCES[name], url=playback.url(name))) for name in sources],
            clock=clock,
            time_limit=round_time_limit(interval),
            fresh=lambda *_: True,  # the states are not used
            enough=partial(enough, interval=round(interval * 1000)),
            rates=Rates(rates, clock) if TETHERED in sources else None,
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
