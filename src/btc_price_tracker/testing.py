"""Time for tests: a clock that stands still until it is advanced, one that leaps, and a wait in real time."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

__all__ = ["LeapingClock", "ManualClock", "eventually"]

MICRO = 1_000_000  # the clock counts whole microseconds, so that three tenths of a second are three tenths
TURNS = 20  # of the event loop that woken tasks get to do their work and to go back to sleep


class ManualClock:
    """A Clock (see clock.py) whose time passes only in `advance`.

    Sleepers wake in the order of their deadlines, each at its own moment: a task that sleeps a second in a
    loop wakes ten times in `advance(10)`. After each moment the woken tasks get some turns of the event loop;
    where one waits for a socket or a thread between two sleeps, await `sleeping` before the next `advance`.
    """

    def __init__(self, now: int = 1_764_000_000_000) -> None:
        """Start at this wall time, in ms since the epoch."""
        self._started = now
        self._elapsed = 0  # microseconds
        self._order = count()  # sleepers with the same deadline wake in order of arrival
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrival = asyncio.Event()

    def now(self) -> int:
        """Wall time, ms since the epoch."""
        return self._started + self._elapsed * 1000 // MICRO

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self._elapsed / MICRO

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or, if negative, back; no sleeper wakes and monotonic time stands still."""
        self._started += round(seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has advanced so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        deadline = self._elapsed + round(seconds * MICRO)
        heapq.heappush(self._sleepers, (deadline, next(self._order), woken))
        self._arrival.set()
        await woken

    async def sleeping(self, sleepers: int = 1) -> None:
        """Wait until at least this many tasks sleep on this clock."""
        while sum(not woken.done() for _, _, woken in self._sleepers) < sleepers:
            self._arrival.clear()
            await self._arrival.wait()

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking sleepers at their deadlines and in order."""
        until = self._elapsed + round(seconds * MICRO)
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            self._wake_next()
            await _settle()
        self._elapsed = until

    def _wake_next(self) -> None:
        """Move to the next deadline and wake its sleepers."""
        moment = self._sleepers[0][0]
        self._elapsed = max(self._elapsed, moment)
        while self._sleepers and self._sleepers[0][0] == moment:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():  # done: cancelled in its sleep
                woken.set_result(None)


class LeapingClock:
    """A Clock whose sleepers don't wait: each moves the time on instead. For days in minutes."""

    def __init__(self, now: int = 1_764_000_000_000) -> None:
        """Start at this wall time, in ms since the epoch."""
        self._started = now
        self._elapsed = 0.0  # seconds

    def now(self) -> int:
        """Wall time, ms since the epoch."""
        return self._started + round(self._elapsed * 1000)

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass at once; other tasks get a turn."""
        self._elapsed += max(seconds, 0.0)
        await asyncio.sleep(0)


async def eventually(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait in real time until the condition holds: for sockets and threads, which no Clock controls.

    Raises TimeoutError if it doesn't within so many seconds.
    """
    async with asyncio.timeout(seconds):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


async def _settle() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
