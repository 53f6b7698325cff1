"""All sources side by side, or one after the other until one is fit."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from msgspec import structs

from btc_price_tracker.clock import Clock
from btc_price_tracker.price.model import Answer
from btc_price_tracker.sources.state import SourceState
from btc_price_tracker.sources.upstream import Fresh, Upstream

LONGEST_DEADLINE = 5.0  # seconds for a round of questions
SHARE = 0.8  # of the interval, where that is shorter
RATE_LASTS = 120_000  # ms that a USDT/USD rate may be used
TURNS = 3  # in order: each source gets at least a third of the time that is left

Enough = Callable[[Sequence[Answer], int], bool]  # whether answers do for a price, at ms since the epoch


def deadline(interval: float) -> float:
    """Seconds that a round may take, for `interval` seconds between rounds."""
    return min(LONGEST_DEADLINE, SHARE * interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The sources in the order of preference, and the one of the USDT/USD rate if any of them needs it."""

    upstreams: Sequence[Upstream]
    clock: Clock
    seconds: float  # that a round may take: deadline(interval)
    fresh: Fresh
    enough: Enough
    fallback: bool = False  # ask one after the other until it is enough, instead of all side by side
    tether: Upstream | None = None

    async def ask(self) -> list[Answer]:
        """Ask within `seconds`. Never raises; the answers are in the configured order.

        With `fallback` they end where they are enough.
        """
        return await (self._in_order() if self.fallback else self._side_by_side())

    def states(self) -> list[SourceState]:
        """How each source is doing now, in the configured order."""
        return [upstream.state(self.fresh) for upstream in self.upstreams]

    async def _side_by_side(self) -> list[Answer]:
        asked = [upstream.ask(self.seconds) for upstream in self.upstreams]
        if self.tether is not None:
            asked.append(self.tether.ask(self.seconds))
        await asyncio.gather(*asked)
        return [self._answer(upstream) for upstream in self.upstreams]

    async def _in_order(self) -> list[Answer]:
        """Ask one after the other; one that hangs leaves time for those after it."""
        ends = self.clock.monotonic() + self.seconds
        answers: list[Answer] = []
        for left, upstream in zip(range(len(self.upstreams), 0, -1), self.upstreams, strict=True):
            seconds = (ends - self.clock.monotonic()) / min(left, TURNS)
            asked = [upstream.ask(seconds)]
            if self.tether is not None and upstream.source.currency == "USDT":
                asked.append(self.tether.ask(seconds))
            await asyncio.gather(*asked)
            answers.append(self._answer(upstream))
            if self.enough(answers[-1:], self.clock.now()):
                break
        return answers

    def _answer(self, upstream: Upstream) -> Answer:
        """What the source said last, with the rate that turns it into dollars."""
        answer = upstream.answer()
        return structs.replace(answer, rate=self._rate()) if answer.currency == "USDT" else answer

    def _rate(self) -> Decimal | None:
        """The middle of the book if there is one, else the last trade; None where it is too old to go by."""
        if self.tether is None:
            return None
        tether = self.tether.answer()
        quote = tether.quote
        if quote is None or self.clock.now() - tether.heard > RATE_LASTS:
            return None
        return quote.last if quote.bid is None or quote.ask is None else (quote.bid + quote.ask) / 2
