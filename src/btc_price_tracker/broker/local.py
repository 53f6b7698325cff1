"""A broker inside one process: it always leads, and updates go straight across."""

import asyncio
from collections.abc import AsyncGenerator

from msgspec.structs import replace

from btc_price_tracker.broker.options import Timing
from btc_price_tracker.broker.probes import Probes
from btc_price_tracker.errors import BrokerUnavailable, LeaseLost
from btc_price_tracker.price.model import Update


class LocalBroker:
    """Hands each update to the one follower of this process before the next is published. It holds no history."""

    def __init__(self, timing: Timing | None = None) -> None:
        self._queue: asyncio.Queue[Update | str | None] = asyncio.Queue(
            maxsize=1
        )  # str: a probe, None: the end
        self._probes = Probes((timing or Timing()).probe)
        self._terms = 0
        self._closed = False

    async def follow(self, after: int) -> AsyncGenerator[Update, None]:  # noqa: ARG002 - it holds nothing that was taken
        """See Broker."""
        while not self._closed:
            item = await self._queue.get()
            if isinstance(item, str):
                self._probes.received(item)
            elif item is not None:
                yield item
        raise BrokerUnavailable("the broker is closed")

    async def campaign(self) -> "LocalTerm":
        """Lead at once; see Broker."""
        if self._closed:
            raise BrokerUnavailable("the broker is closed")
        self._terms += 1
        return LocalTerm(self._terms, self._queue)

    async def probe(self) -> None:
        """See Broker."""
        await self._probes.travel(self._queue.put)

    async def aclose(self) -> None:
        """See Broker."""
        self._closed = True
        if self._queue.empty():
            self._queue.put_nowait(None)


class LocalTerm:
    """Lasts until it is given up."""

    last = 0

    def __init__(self, number: int, queue: asyncio.Queue[Update | str | None]) -> None:
        self.number = number
        self._queue = queue
        self._resigned = False

    async def publish(self, update: Update) -> None:
        """Hand over an update, once the one before has been taken."""
        if self._resigned:
            raise LeaseLost("this instance has given the lease up")
        await self._queue.put(replace(update, term=self.number))

    async def hold(self) -> None:
        """Wait for ever: there is nothing to renew."""
        await asyncio.get_running_loop().create_future()

    async def resign(self) -> None:
        """See Term."""
        self._resigned = True
