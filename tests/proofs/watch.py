"""Follows the alerts of a day: each trouble makes its own fire, and no other fires."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from proofs.prometheus import Prometheus
from proofs.trouble import say

PAUSE = 0.25  # seconds between two looks


class Watch:
    """Its `follow` runs all day, and fails as soon as an alert fires that no trouble expects."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.firing: set[str] = set()
        self.began = time.time()
        self._prometheus = prometheus
        self._expected: Counter[str] = Counter()

    async def follow(self) -> None:
        while True:
            firing = await self._prometheus.firing()
            for name in sorted(firing - self.firing):
                self.say(f"  {name} fires")
            for name in sorted(self.firing - firing):
                self.say(f"  {name} is over")
            self.firing = firing
            unexpected = {name for name in firing if not self._expected[name]}
            assert not unexpected, f"{sorted(unexpected)} fire, besides those of {sorted(+self._expected)}"
            await asyncio.sleep(PAUSE)

    @asynccontextmanager
    async def expects(self, *alerts: str, seconds: float) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """In the block, these alerts may fire; at its end, wait until none does. Each takes so many seconds at most.

        Gives what waits until all of them fire.
        """
        self.say(f"{', '.join(alerts)}: expected")
        self._expected.update(alerts)
        names = set(alerts)
        yield lambda: self._until(lambda: self.firing >= names, seconds, f"{alerts} do not fire")
        self.say(f"{', '.join(alerts)}: to be over")
        await self._until(lambda: not self.firing & names, seconds, f"{alerts} are not over")
        self._expected.subtract(alerts)

    async def _until(self, is_so: Callable[[], bool], seconds: float, otherwise: str) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not is_so():
                    await asyncio.sleep(PAUSE)
        except TimeoutError:
            raise AssertionError(f"{otherwise} within {seconds} s; firing: {sorted(self.firing)}") from None

    def say(self, line: str) -> None:
        say(f"{time.time() - self.began:7.1f} s {line}")
