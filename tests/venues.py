"""Five exchanges and CoinGecko over real HTTP, on a time of their own, each with whatever trouble a test gives it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from random import Random
from typing import NamedTuple

from btc_price_tracker.http_client.client import Client
from btc_price_tracker.playback import Playback, Script
from btc_price_tracker.playback.market import ticker
from btc_price_tracker.price.consensus import Consensus, enough
from btc_price_tracker.price.model import CENT, AssessedQuote, Quote, SourceState, Status, Update
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.endpoint import Endpoint, SourceResponse
from btc_price_tracker.sources.poller import Poller
from btc_price_tracker.sources.ratelimit import RateLimiter
from btc_price_tracker.sources.upstream import Upstream
from btc_price_tracker.testing import LeapingClock, eventually
from troubles import Trouble

EXCHANGES = ("coinbase", "kraken", "bitstamp", "gemini", "binanceus")
TIMED = ("coinbase", "bitstamp", "binanceus")  # their answers bear a time
ALL = (*EXCHANGES, "coingecko")
INTERVAL = 10  # seconds of the simulated time
DEADLINE = 5.0  # seconds of real time: an honest answer is in time on a busy machine, too
# Seconds of real time after which the deadline is said to be over, for those that would wait.
CUT_SHORT = 0.05

START = Decimal(69420)
DRIFT = Decimal("0.002")  # of the price, a round
TURN = 10  # rounds up, then as many down
APART = Decimal("0.00001")  # of the price, from one exchange to the next: the doubt about a vote is wider
COINGECKO_LATE = 3  # rounds
REMEMBERED = 4  # rounds: a quote may be 30 s old


class Round(NamedTuple):
    """The result of one round, and the true quotes at its time."""

    update: Update
    states: list[SourceState]
    truth: Mapping[str, tuple[Quote, ...]]  # of every source, over the rounds that a quote may be old

    @property
    def price(self) -> Decimal | None:
        """The new price; None where there is none, or the last one is repeated."""
        tick = self.update.tick
        return None if tick is None or tick.status is Status.STALE else tick.price

    @property
    def fresh(self) -> list[AssessedQuote]:
        return [quote for quote in self.update.quotes if quote.fresh]

    @property
    def honest(self) -> list[AssessedQuote]:
        """The fresh quotes that are true, or were in the last rounds."""
        return [quote for quote in self.fresh if self._is_true(quote)]

    def _is_true(self, quote: AssessedQuote) -> bool:
        """An honest book, or an honest last trade where the book is missing."""
        return any(
            quote.last == true.last and quote.bid in (None, true.bid) and quote.ask in (None, true.ask)
            for true in self.truth[quote.source]
        )

    def shown(self, source: str) -> str:
        """Every reason that `/sources` and the status give for a source."""
        reasons = [quote.reason or "" for quote in self.update.quotes if quote.source == source]
        errors = [state.error or "" for state in self.states if state.name == source]
        return "; ".join([self.update.reason.partition(f"{source}: ")[2], *reasons, *errors])


@dataclass(frozen=True, slots=True)
class RealSleep:
    """The time of another clock, but a sleep takes real time: the playback's delays are to be waited for."""

    clock: LeapingClock

    def now(self) -> int:
        return self.clock.now()

    def monotonic(self) -> float:
        return self.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Venues:
    """A price service over sources in trouble: `troubles` may be changed between two rounds."""

    def __init__(self, client: Client) -> None:
        self.clock = LeapingClock()
        self.troubles: dict[str, Trouble] = {}
        self.stranger = 0
        self.policy = Consensus(INTERVAL)
        self.script = Script()
        self.playback = Playback(self.script, RealSleep(self.clock))
        self.poller = Poller(
            sources=[self._upstream(name, client) for name in ALL],
            clock=self.clock,
            time_limit=DEADLINE,
            fresh=lambda *_: True,
            enough=partial(enough, interval=round(INTERVAL * 1000)),
        )
        self._turn = -1
        self._recent = {name: deque[Quote](maxlen=REMEMBERED) for name in ALL}
        self._began: dict[str, tuple[Trouble, Quote]] = {}

    def _upstream(self, name: str, client: Client) -> Upstream:
        fetch = partial(self._fetch, name, client)
        return Upstream(SOURCES[name], fetch, RateLimiter(1, Random(1)), self.clock, Random(1))

    async def _fetch(self, name: str, client: Client) -> SourceResponse:
        trouble = self.troubles.get(name)
        elsewhere = trouble and trouble.url.format(stranger=self.stranger)
        base = elsewhere or self.playback.url(name)
        reply = Endpoint(client, base + SOURCES[name].path).get()
        return await (self._cut_short(name, reply) if trouble and trouble.takes_all_time else reply)

    async def _cut_short(self, name: str, reply: Coroutine[None, None, SourceResponse]) -> SourceResponse:
        """Wait, once the question has arrived, for a little instead of until the deadline."""
        asked = len(self.playback.calls[name])
        waiting = asyncio.create_task(reply)
        await eventually(lambda: len(self.playback.calls[name]) > asked)
        return await asyncio.wait_for(waiting, CUT_SHORT)

    async def round(self) -> Round:
        """Ask and decide, one interval after the last time."""
        self._turn += 1
        await self.clock.sleep(self._turn * INTERVAL - self.clock.monotonic())
        for name in ALL:
            true = self._true(name)
            self._recent[name].append(true)
            self._speak(name, true)
        update = self.policy.decide(await self.poller.poll(), self.clock.now())
        return Round(update, self.poller.states(), {name: tuple(self._recent[name]) for name in ALL})

    async def rounds(self, number: int) -> list[Round]:
        return [await self.round() for _ in range(number)]

    async def leap(self, seconds: float) -> None:
        """Let whole intervals pass without a round, so many seconds at least."""
        self._turn += int(seconds / INTERVAL) + 1
        await self.clock.sleep(seconds)

    def _true(self, name: str) -> Quote:
        late = COINGECKO_LATE if name == "coingecko" else 0
        phase = (self._turn - late) % (2 * TURN)
        middle = START * (1 + DRIFT * min(phase, 2 * TURN - phase) + APART * ALL.index(name))
        time = self.clock.now() - late * INTERVAL * 1000
        exact = ticker(Quote(middle.quantize(CENT)), time)
        if late:
            return Quote(exact.last, time=time)
        return Quote(exact.last, exact.bid, exact.ask, time)

    def _speak(self, name: str, true: Quote) -> None:
        """Have the source say what is true, or what its trouble makes of it."""
        trouble = self.troubles.get(name)
        if trouble is None:
            self._began.pop(name, None)
            self.playback.faults.pop(name, None)
            self.script.quotes[name] = true
            return
        if name not in self._began or self._began[name][0] is not trouble:
            self._began[name] = trouble, true
        self.playback.faults[name] = trouble.fault(name, self._turn)
        self.script.quotes[name] = trouble.says(true, self._began[name][1])


@asynccontextmanager
async def venues(client: Client) -> AsyncIterator[Venues]:
    """Five exchanges and CoinGecko, all well, answering on loopback."""
    market = Venues(client)
    async with market.playback, await asyncio.start_server(_refuse, "127.0.0.1", 0) as stranger:
        market.stranger = stranger.sockets[0].getsockname()[1]
        yield market


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a TLS greeting as servers do that expect plain HTTP."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()
