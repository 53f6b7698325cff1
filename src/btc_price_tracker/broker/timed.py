"""A broker whose operations are timed."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from btc_price_tracker.broker import Broker
from btc_price_tracker.price.model import Update


@dataclass(frozen=True, slots=True)
class TimedBroker:
    """Reports the duration of each publication of `broker`, and whether it succeeded, to `observe`."""

    broker: Broker
    observe: Callable[[str, float, bool], None]  # operation, seconds, success
    monotonic: Callable[[], float] = time.monotonic

    async def publish(self, update: Update) -> None:
        """Publish an update and report how long that took."""
        begun, succeeded = self.monotonic(), False
        try:
            await self.broker.publish(update)
            succeeded = True
        finally:
            self.observe("publish", self.monotonic() - begun, succeeded)

    def follow(self, after: int) -> AsyncIterator[Update]:
        """Follow `broker`: how long that takes depends on its publisher, so it isn't timed."""
        return self.broker.follow(after)
