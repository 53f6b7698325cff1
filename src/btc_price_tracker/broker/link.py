"""This instance's connection to the broker: whether it works, and what it last carried."""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Iterable
from enum import StrEnum

import structlog

from btc_price_tracker.clock import Clock
from btc_price_tracker.meters import Distribution
from btc_price_tracker.price.model import Tick
from btc_price_tracker.price.parameters import RECENT

log = structlog.get_logger(__name__)


class TermEnd(StrEnum):
    """Why a term of this instance ended."""

    LEASE_LOST = "lease_lost"
    BROKER_UNAVAILABLE = "broker_unavailable"
    CLOCK_CONTRADICTED = "clock_contradicted"


class Link:
    """Works until `fail`, fails until `recover`."""

    def __init__(self, clock: Clock) -> None:
        self.fault: str | None = None  # why the broker can't be used; None while it can
        self.recent: deque[Tick] = deque(maxlen=RECENT)  # the last ticks of all instances, with their quotes
        self.delivered = (
            0  # the newest id of all that this instance's follower has had; `newest` may be ahead of it
        )
        # These only grow, for metrics.
        self.outages = 0
        self.terms_begun = 0  # of this instance
        self.terms_ended: Counter[TermEnd] = Counter()  # of these, by reason
        self.deliveries = Distribution()  # seconds from publication to receipt, by two clocks
        self._clock = clock
        self._failed_at = 0.0
        self._carried_at: float | None = None  # monotonic, as the next
        self._worked_at: float | None = None
        self._failed, self._works = asyncio.Event(), asyncio.Event()
        self._works.set()

    @property
    def outage(self) -> float:
        """Seconds since it failed; 0 while it works."""
        return 0.0 if self.fault is None else self._clock.monotonic() - self._failed_at

    @property
    def silence(self) -> float | None:
        """Seconds since an update came through the broker; None before the first."""
        return None if self._carried_at is None else self._clock.monotonic() - self._carried_at

    @property
    def age(self) -> float | None:
        """Seconds since the broker last carried something, if only a probe; None before."""
        return None if self._worked_at is None else self._clock.monotonic() - self._worked_at

    def carried(self, published: int) -> None:
        """Note that an update came through the broker that was published at a time in ms, 0 if that isn't known."""
        self._carried_at = self._clock.monotonic()
        if published:
            self.deliveries.observe(max(self._clock.now() - published, 0) / 1000)

    @property
    def newest(self) -> int:
        """The newest id of all instances; 0 before the first."""
        return self.recent[-1].id if self.recent else 0

    def restore(self, ticks: Iterable[Tick]) -> None:
        """Begin after these ticks, oldest first, which this instance has at its start."""
        self.recent.extend(ticks)
        self.delivered = self.newest

    def received(self, tick: Tick) -> None:
        """Remember a tick that every instance has; one that isn't newer is ignored."""
        if tick.id > self.newest:
            self.recent.append(tick)

    def fail(self, reason: str) -> None:
        """Note that the broker can't be used."""
        if self.fault is None:
            log.error("broker failed", reason=reason)
            self.outages += 1
            self._failed_at = self._clock.monotonic()
        self.fault = reason
        self._works.clear()
        self._failed.set()

    def recover(self) -> None:
        """Note that the broker has carried something."""
        self._worked_at = self._clock.monotonic()
        if self.fault is not None:
            log.info("broker recovered", seconds=round(self.outage, 1))
        self.fault = None
        self._failed.clear()
        self._works.set()

    async def pause(self, seconds: float) -> None:
        """Wait about so long: instances that wait for the same broker must not all come back at once."""
        await self._clock.sleep(seconds * random.uniform(0.5, 1.5))  # nosec B311 # jitter

    async def failed(self) -> None:
        """Wait until it fails."""
        await self._failed.wait()

    async def works(self) -> None:
        """Wait until it works."""
        await self._works.wait()
