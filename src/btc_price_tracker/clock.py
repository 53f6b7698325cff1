"""Time as an argument: everything that waits or stamps takes a Clock, so tests own the time."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time to stamp with, monotonic time to measure with, and sleep."""

    def now(self) -> int:
        """Milliseconds since the epoch; may step, either way."""

    def monotonic(self) -> float:
        """Seconds since a fixed moment, including suspend if the system counts it; never steps."""

    async def sleep(self, seconds: float) -> None:
        """Wait on the monotonic clock."""


# Linux's CLOCK_MONOTONIC stands still while the machine sleeps, and what was received before would seem recent.
_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds since boot, including suspend if the system counts it."""
        return time.clock_gettime(_MONOTONIC)

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(seconds)
