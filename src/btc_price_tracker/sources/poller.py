"""Polls all sources side by side, or one after the other until the answers suffice."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from msgspec import structs

from btc_price_tracker.clock import Clock
from btc_price_tracker.price.model import Answer, SourceState, State
from btc_price_tracker.sources.rates import Rates
from btc_price_tracker.sources.source import Source

MAX_TIME_LIMIT = 5.0  # seconds for a round
INTERVAL_SHARE = 0.8  # of the interval, where that is shorter
TURNS = 3  # in order: a source has at least a third of the time that is left before the next one is polled
GRACE = 1.0  # seconds for late sources after the answers suffice

Fresh = Callable[[Answer, int], bool]  # whether an answer still counts at a time in ms since the epoch
Enough = Callable[[Sequence[Answer], int], bool]  # whether answers suffice for a price, at ms since the epoch


def round_time_limit(interval: float) -> float:
    """Return how long a round may take where one begins every `interval`; both in seconds."""
    return min(MAX_TIME_LIMIT, INTERVAL_SHARE * interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poller:
    """The sources in order of preference, and those of the USDT/USD rate if any of them needs it."""

    sources: Sequence[Source]
    clock: Clock
    time_limit: float  # seconds that a round may take: round_time_limit(interval)
    fresh: Fresh
    enough: Enough
    in_order: bool = False  # poll one after the other until the answers suffice, instead of all side by side
    rates: Rates | None = None
    grace: float = GRACE  # half of the round, where that is shorter

    async def poll(self) -> list[Answer]:
        """Poll within `time_limit`. Never raises; the answers are in the configured order.

        With `in_order`, they end with the one that made them suffice. A source that is late has until its own time
        limit to answer, for the next round.
        """
        urgent = not any(map(self._is_usable, self._answers(self.sources)))
        async with asyncio.TaskGroup() as tasks:
            round_ = _Round(self, tasks, urgent=urgent)
            polled = await (self._in_order(round_) if self.in_order else self._side_by_side(round_))
            round_.stop()
        return self._answers(polled)  # only now: an old response shows by the clocks of all

    async def aclose(self) -> None:
        """Close the sources."""
        await asyncio.gather(*(source.aclose() for source in self.all_sources()))

    def states(self) -> list[SourceState]:
        """Return how each source is doing now, in the configured order."""
        return [self._state(source) for source in self.sources]

    def convert(self, answers: Iterable[Answer]) -> list[Answer]:
        """Return the answers, those in tethers with the rate that converts them to dollars."""
        return list(answers) if self.rates is None else self.rates.convert(answers)

    def _state(self, source: Source) -> SourceState:
        state = source.state()
        if state.state is not State.OK or self.fresh(source.answer(), self.clock.now()):
            return state
        return structs.replace(state, state=State.STALE)

    def _answers(self, sources: Iterable[Source]) -> list[Answer]:
        return self.convert(source.answer() for source in sources)

    def _is_usable(self, answer: Answer) -> bool:
        is_convertible = answer.currency == "USD" or answer.rate is not None
        return is_convertible and self.fresh(answer, self.clock.now())

    def all_sources(self) -> list[Source]:
        """Return all, the rate first: at short intervals it would never get its turn after Kraken's own price."""
        return [*self._rate_sources(), *self.sources]

    def _rate_sources(self) -> list[Source]:
        return [] if self.rates is None else list(self.rates.sources.values())

    async def _side_by_side(self, round_: "_Round") -> Sequence[Source]:
        sources = self.all_sources()
        for source in sources:
            round_.start(source, self.time_limit)
        await round_.until_enough(sources)
        await round_.until_done(min(self.grace, self.time_limit / 2))
        return self.sources

    async def _in_order(self, round_: "_Round") -> Sequence[Source]:
        """Each has a share of the time to itself, and may answer until the end of the round."""
        end = self.clock.monotonic() + self.time_limit
        for number, source in enumerate(self.sources, 1):
            left = end - self.clock.monotonic()
            polled = [source, *(self._rate_sources() if source.currency == "USDT" else ())]
            for each in polled:
                round_.start(each, left)
            if await round_.until_enough(polled, left / min(len(self.sources) - number + 1, TURNS)):
                return self.sources[:number]
        await round_.until_enough(self.sources)
        return self.sources


class _Round:
    """The refreshes of one round, and whether the answers so far suffice for a price."""

    def __init__(self, poller: Poller, tasks: asyncio.TaskGroup, *, urgent: bool) -> None:
        self._poller = poller
        self._tasks = tasks
        self._urgent = urgent
        self._refreshes: dict[asyncio.Task[None], Source] = {}
        self._answers: list[Answer] = []  # the fresh ones
        self._is_enough = False

    def start(self, source: Source, time_limit: float) -> None:
        """Refresh a source within so many seconds, unless that is in progress."""
        if source not in self._refreshes.values():
            refresh = self._tasks.create_task(source.refresh(time_limit, urgent=self._urgent))
            self._refreshes[refresh] = source

    async def until_enough(self, sources: Collection[Source], time_limit: float | None = None) -> bool:
        """Wait until the answers suffice, these sources are done or the time is over; return whether they suffice."""
        with suppress(TimeoutError):
            async with asyncio.timeout(time_limit):
                while not self._is_enough and any(each in sources for each in self._refreshes.values()):
                    await self._next()
        return self._is_enough

    async def until_done(self, time_limit: float) -> None:
        """Wait for the rest within so many seconds."""
        if self._refreshes:
            await asyncio.wait(self._refreshes, timeout=time_limit)

    def stop(self) -> None:
        """Wait no longer; the requests in progress go on."""
        for refresh in self._refreshes:
            refresh.cancel()

    async def _next(self) -> None:
        """Wait for the next source that is done. The rule is evaluated only where that may have changed its result."""
        done, _ = await asyncio.wait(self._refreshes, return_when=asyncio.FIRST_COMPLETED)
        sources = [self._refreshes.pop(refresh) for refresh in done]
        answers = [source.answer() for source in sources if source in self._poller.sources]
        now = self._poller.clock.now()
        new = [answer for answer in answers if answer.fault is None and self._poller.fresh(answer, now)]
        self._answers += new
        if new or len(answers) < len(sources):  # a new rate makes earlier answers usable
            self._is_enough = self._poller.enough(self._poller.convert(self._answers), now)
