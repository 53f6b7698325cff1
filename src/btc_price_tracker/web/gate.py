"""Admission of requests to the store: bounded concurrency, a bounded FIFO queue, 503 beyond it."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from btc_price_tracker.web.problems import Problem


class Gate:
    """Bounds the concurrent reads of the store.

    A request takes a turn for each page that it reads and holds none while it sends: slow clients don't block others.
    """

    def __init__(self, at_once: int, max_waiting: int = 100, timeout: float = 20.0) -> None:
        """Allow `at_once` turns at a time, each of at most `timeout` seconds including its wait.

        At `max_waiting` requests, those that wait for their next page included, new ones are rejected.
        """
        self.waiting = 0  # requests
        self.refused = 0  # requests since the start
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._turns = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """Take the first turn of a request. Raises Problem (503) if the queue is full, and as `turn` does."""
        if self.waiting >= self._max_waiting:
            self.refused += 1
            raise _problem("Too many requests for history are waiting")
        async with self.turn():
            yield

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Take a turn. Raises Problem (503) after the timeout; the work inside is cancelled."""
        try:
            async with asyncio.timeout(self._timeout) as limit, self.turn_without_timeout():
                yield
        except TimeoutError:
            if limit.expired():
                raise _problem(f"The store did not respond within {self._timeout:g} s") from None
            raise

    @asynccontextmanager
    async def turn_without_timeout(self) -> AsyncIterator[None]:
        """Take a turn, however long the wait."""
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
    seconds = str(random.randint(1, 5))  # nosec B311 # jitter: not in step
    return Problem(503, f"{detail}; retry in {seconds} s.", {"Retry-After": seconds})
