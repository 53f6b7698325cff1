"""The circuit breaker: a source that mostly fails is left alone for a while, then tried with one call.

                 3 outcomes or more, half of them failures
    CLOSED ────────────────────────────────────────────────▶ OPEN ◀─────────────┐
      ▲                                                        │ its time is up   │ the probe failed:
      │ the probe succeeded                                    ▼                  │ open twice as long
      └──────────────────────────────────────────────────── HALF_OPEN ────────────┘

Pure: `now` is an argument, in seconds on a monotonic clock. A probe that never reports (its task was
cancelled) holds the door for one more open time, then the next caller may probe.
"""

from collections import deque
from enum import StrEnum
from random import Random

WINDOW = 10  # outcomes looked back upon
HORIZON = 120.0  # seconds after which an outcome says nothing about today
LEAST = 3  # outcomes before there is a rate to speak of
RATE = 0.5  # share of failures at which it opens
FIRST_OPEN = 15.0  # seconds
LONGEST_OPEN = 60.0  # seconds: a probe a minute burdens nobody, and more would only delay our own recovery
JITTER = 0.2  # of the open time, either way, so that instances don't probe in step


class Circuit(StrEnum):
    """Where the breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"  # one probe is out


class Breaker:
    """Decides whether a source may be asked, from how its last answers turned out."""

    def __init__(self, random: Random) -> None:
        self.circuit = Circuit.CLOSED
        self._random = random
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=WINDOW)
        self._opening = FIRST_OPEN  # seconds, without jitter, of the next opening
        self._until = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a call may be let through; 0 means now."""
        return 0.0 if self.circuit is Circuit.CLOSED else max(self._until - now, 0.0)

    def allow(self, now: float) -> bool:
        """Whether to call now. Where the circuit isn't closed, True hands out the one probe."""
        if self.wait(now) > 0:
            return False
        if self.circuit is not Circuit.CLOSED:
            self.circuit = Circuit.HALF_OPEN
            self._until = now + self._opening
        return True

    def record(self, *, ok: bool, now: float) -> None:
        """Take note of how a call that was let through turned out."""
        self._outcomes.append((now, ok))
        if self.circuit is not Circuit.CLOSED:
            self._close() if ok else self._open(now)
        elif self._failing(now):
            self._open(now)

    def _failing(self, now: float) -> bool:
        recent = [ok for moment, ok in self._outcomes if now - moment <= HORIZON]
        return len(recent) >= LEAST and recent.count(False) >= RATE * len(recent)

    def _open(self, now: float) -> None:
        self.circuit = Circuit.OPEN
        self._until = now + self._opening * self._random.uniform(1 - JITTER, 1 + JITTER)
        self._opening = min(self._opening * 2, LONGEST_OPEN)

    def _close(self) -> None:
        self.circuit = Circuit.CLOSED
        self._opening = FIRST_OPEN
        self._outcomes.clear()
