"""A broker whose operations are timed."""

import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from btc_price_tracker.broker import Broker, Term
from btc_price_tracker.price.model import Update

Observe = Callable[[str, float, bool], None]  # operation, seconds, success


@dataclass(frozen=True, slots=True)
class TimedBroker:
    """Reports the duration of each publication and probe of `broker`, and whether it succeeded, to `observe`.

    How long it takes to follow or to be elected depends on the leader, so that isn't timed.
    """

    broker: Broker
    observe: Observe
    monotonic: Callable[[], float] = time.monotonic

    def follow(self, after: int) -> AsyncGenerator[Update, None]:
        """See Broker."""
        return self.broker.follow(after)

    async def campaign(self) -> "TimedTerm":
        """See Broker."""
        return TimedTerm(await self.broker.campaign(), self)

    async def probe(self) -> None:
        """See Broker."""
        with Stopwatch("probe", self):
            await self.broker.probe()

    async def aclose(self) -> None:
        """See Broker."""
        await self.broker.aclose()


@dataclass(frozen=True, slots=True)
class TimedTerm:
    """A term of a timed broker."""

    term: Term
    timed: TimedBroker

    @property
    def number(self) -> int:
        """See Term."""
        return self.term.number

    @property
    def last(self) -> int:
        """See Term."""
        return self.term.last

    async def publish(self, update: Update) -> None:
        """See Term."""
        with Stopwatch("publish", self.timed):
            await self.term.publish(update)

    async def hold(self) -> None:
        """See Term."""
        await self.term.hold()

    async def resign(self) -> None:
        """See Term."""
        await self.term.resign()


class Stopwatch:
    """Reports how long its block took, and whether it ended without an exception."""

    def __init__(self, operation: str, timed: TimedBroker) -> None:
        self._operation = operation
        self._timed = timed
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = self._timed.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        elapsed = self._timed.monotonic() - self._started
        self._timed.observe(self._operation, elapsed, kind is None)
