"""All sources side by side, or one after the other until one is fit."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from msgspec import structs

from btc_price_tracker.clock import Clock
from btc_price_tracker.price.model import Answer, SourceState
from btc_price_tracker.sources.rates import Rates
from btc_price_tracker.sources.upstream import Fresh, Upstream

LONGEST_DEADLINE = 5.0  # seconds for a round of questions
SHARE = 0.8  # of the interval, where that is shorter
TURNS = 3  # in order: a source has at least a third of the time that is left before the next is asked
GRACE = 1.0  # seconds for the rest, once it is enough; half of the round, where that is shorter
LATE = "no answer yet"

Enough = Callable[[Sequence[Answer], int], bool]  # whether answers do for a price, at ms since the epoch


def deadline(interval: float) -> float:
    """Seconds that a round may take, for `interval` seconds between rounds."""
    return min(LONGEST_DEADLINE, SHARE * interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poller:
    """The sources in the order of preference, and those of the USDT/USD rate if any of them needs it."""

    upstreams: Sequence[Upstream]
    clock: Clock
    seconds: float  # that a round may take: deadline(interval)
    fresh: Fresh
    enough: Enough
    fallback: bool = False  # ask one after the other until it is enough, instead of all side by side
    rates: Rates | None = None
    # By source, until they end. Tasks outside the service's task group: each ends within `seconds`, raises nothing,
    # and `aclose` ends it.
    _asks: dict[str, asyncio.Task[Answer]] = field(default_factory=dict, init=False)

    async def poll(self) -> list[Answer]:
        """Ask within `seconds`. Never raises; the answers are in the configured order.

        With `fallback` they end where they are enough. Who is late may answer until `seconds` are over, for
        the next round. While no source has a fresh quote, none is left alone for longer than a minute.
        """
        if not any(self._is_usable(upstream) for upstream in self.upstreams):
            for upstream in self._everyone():
                upstream.shorten_pause()
        asked = await (self._in_order() if self.fallback else self._side_by_side())
        return [self._answer(upstream) for upstream in asked]

    async def aclose(self) -> None:
        """Wait for nobody any more."""
        asks = list(self._asks.values())
        for ask in asks:
            ask.cancel()
        await asyncio.gather(*asks, return_exceptions=True)

    def states(self) -> list[SourceState]:
        """How each source is doing now, in the configured order."""
        return [upstream.state(self.fresh) for upstream in self.upstreams]

    def _everyone(self) -> list[Upstream]:
        """All, the rate first: in short intervals it would never get its turn after Kraken's own price."""
        return [*self._rate_sources(), *self.upstreams]

    def _rate_sources(self) -> list[Upstream]:
        return [] if self.rates is None else list(self.rates.upstreams.values())

    async def _side_by_side(self) -> Sequence[Upstream]:
        """Ask all; once that is enough, give the rest a short grace."""
        everyone = self._everyone()
        for upstream in everyone:
            self._start(upstream, self.seconds)
        await self._wait(everyone, self.upstreams)
        if self._asks:
            await asyncio.wait(self._asks.values(), timeout=min(GRACE, self.seconds / 2))
        return self.upstreams

    async def _in_order(self) -> Sequence[Upstream]:
        """Ask one after the other; each has a share of the time to itself and may answer until the end."""
        ends = self.clock.monotonic() + self.seconds
        for number, upstream in enumerate(self.upstreams, 1):
            left = ends - self.clock.monotonic()
            asked = [upstream]
            if upstream.source.currency == "USDT":
                asked += self._rate_sources()
            for each in asked:
                self._start(each, left)
            reached = self.upstreams[:number]
            await self._wait(asked, reached, left / min(len(self.upstreams) - number + 1, TURNS))
            if self._is_enough(reached):
                return reached
        await self._wait(self.upstreams, self.upstreams)
        return self.upstreams

    def _start(self, upstream: Upstream, seconds: float) -> None:
        """Ask, unless the last question is still out."""
        name = upstream.source.name
        if name not in self._asks:
            self._asks[name] = ask = asyncio.create_task(upstream.ask(seconds))
            ask.add_done_callback(lambda _: self._asks.pop(name))

    async def _wait(
        self, asked: Sequence[Upstream], reached: Sequence[Upstream], seconds: float | None = None
    ) -> None:
        """Wait until these have answered, or the time is over; or until all who were reached are enough."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(each.source.name in self._asks for each in asked) and not self._is_enough(reached):
                    await asyncio.wait(self._asks.values(), return_when=asyncio.FIRST_COMPLETED)

    def _is_enough(self, reached: Sequence[Upstream]) -> bool:
        return self.enough([self._answer(upstream) for upstream in reached], self.clock.now())

    def _is_usable(self, upstream: Upstream) -> bool:
        answer = self._answer(upstream)
        is_convertible = answer.currency == "USD" or answer.rate is not None
        return is_convertible and self.fresh(answer, self.clock.now())

    def _answer(self, upstream: Upstream) -> Answer:
        """What the source said last, with the rate that turns it into dollars."""
        answer = upstream.answer()
        if upstream.source.name in self._asks:
            answer = structs.replace(answer, fault=LATE)
        rate = self.rates.current() if self.rates and answer.currency == "USDT" else None
        return structs.replace(answer, rate=rate.dollars, rate_from=rate.source) if rate else answer
