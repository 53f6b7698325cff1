"""Between the instance that asks and all that deliver: the Broker protocol."""

from collections.abc import AsyncIterator
from typing import Protocol

from btc_price_tracker.price.model import Update


class Broker(Protocol):
    """Carries updates from the instance that asks the sources to every instance, in order."""

    async def publish(self, update: Update) -> None:
        """Send an update to the follower of each instance."""

    def follow(self, after: int) -> AsyncIterator[Update]:
        """Every update with a tick after the id `after`, as far as the broker holds them, then each new one, in order.

        An instance has one follower.
        """
