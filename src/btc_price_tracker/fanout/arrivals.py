"""Waiting for the next price, by any number of requests."""

import asyncio
from collections.abc import Iterator
from itertools import islice

SLICE = 100  # requests that wake in one iteration of the event loop, which takes about 10 ms then


class Arrivals:
    """Wakes all that wait, a slice at a time so that the event loop keeps running.

    One that is cancelled leaves nothing behind.
    """

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}  # in their order

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self) -> None:
        """Wait for the next `announce`."""
        arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[arrival] = None
        try:
            await arrival
        finally:
            self._waiting.pop(arrival, None)

    async def within(self, seconds: float) -> bool:
        """Wait for the next `announce`; returns whether it came within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self.wait()
        except TimeoutError:
            return False
        return True

    def announce(self) -> None:
        """Wake all that wait now."""
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            self._wake(iter(waiting))

    def _wake(self, waiting: Iterator[asyncio.Future[None]]) -> None:
        arrivals = list(islice(waiting, SLICE))
        for arrival in arrivals:
            if not arrival.done():
                arrival.set_result(None)
        if len(arrivals) == SLICE:
            asyncio.get_running_loop().call_soon(self._wake, waiting)
