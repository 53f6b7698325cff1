"""The gate before the store: a few requests are at work there at a time, others wait in order, too many are refused."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from btc_price_tracker.web.problems import Problem

MAX_WAITING = 100  # requests; those that are being answered and want their next page count as well
TIMEOUT = 20.0  # seconds for a turn, with the wait for it


class Gate:
    """Bounds the work that requests give the store.

    A request takes a turn for each page that it reads, and none while it sends: a slow client keeps nobody waiting.
    """

    def __init__(self, at_once: int, max_waiting: int = MAX_WAITING) -> None:
        """Give `at_once` turns at a time."""
        self.waiting = 0  # requests
        self.refused = 0  # requests since the start
        self._max_waiting = max_waiting
        self._turns = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """Take the first turn of a request. Raises Problem (503) where too many wait already, and as `turn` does."""
        if self.waiting >= self._max_waiting:
            self.refused += 1
            raise _problem("Too many requests for history wait already")
        async with self.turn():
            yield

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Take a turn. Raises Problem (503) where it isn't over in time: what was to be done is cancelled."""
        try:
            async with asyncio.timeout(TIMEOUT) as limit, self.turn_without_limit():
                yield
        except TimeoutError:
            if limit.expired():
                raise _problem(f"The store gave no answer within {TIMEOUT:g} s") from None
            raise

    @asynccontextmanager
    async def turn_without_limit(self) -> AsyncIterator[None]:
        """Take a turn, however long it takes to get one."""
        self.waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._turns.release()


def _problem(detail: str) -> Problem:
    seconds = str(random.randint(1, 5))  # jittered, so that a crowd doesn't return as one
    return Problem(503, f"{detail}; come back in {seconds} s.", {"Retry-After": seconds})
