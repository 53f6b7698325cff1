"""One process: the updates go straight across."""

import asyncio
from collections.abc import AsyncIterator

from btc_price_tracker.price.model import Update


class LocalBroker:
    """Hands each update to the one follower of this process before the next is published."""

    def __init__(self) -> None:
        self._updates: asyncio.Queue[Update] = asyncio.Queue(maxsize=1)

    async def publish(self, update: Update) -> None:
        """Hand over an update, once the one before has been taken."""
        await self._updates.put(update)

    async def follow(self, after: int) -> AsyncIterator[Update]:  # noqa: ARG002 - it holds nothing that was taken
        """The updates, in order."""
        while True:
            yield await self._updates.get()
