"""The circuit breaker: a source that mostly fails is paused for a while, then probed with one request.

                 3 outcomes or more, half of them failures
    CLOSED ────────────────────────────────────────────────▶ OPEN ◀─────────────┐
      ▲                                                        │ the time is over │ the probe failed:
      │ the probe succeeded                                    ▼                  │ open twice as long
      └──────────────────────────────────────────────────── HALF_OPEN ────────────┘

Deterministic: `now` is an argument, in seconds on a monotonic clock. A probe that never reports (its task was
cancelled) blocks others for one more open time, then the next caller may probe.
"""

from collections import deque
from enum import StrEnum
from random import Random

WINDOW = 10  # outcomes remembered at most
HORIZON = 120.0  # seconds that an outcome counts
MIN_OUTCOMES = 3  # outcomes before there is a meaningful rate
FAILURE_RATE = 0.5  # share of failures at which it opens
MIN_OPEN_TIME = 15.0  # seconds
MAX_OPEN_TIME = (
    60.0  # seconds: a probe a minute is no load, and a longer time would only delay our own recovery
)
JITTER = 0.2  # of the open time, either way, so that instances don't probe in step


class Circuit(StrEnum):
    """The states of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"  # a probe is in progress


class Breaker:
    """Decides whether a source may be polled, from its recent outcomes."""

    def __init__(self, random: Random) -> None:
        self.circuit = Circuit.CLOSED
        self._random = random
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=WINDOW)
        self._open_time = MIN_OPEN_TIME  # seconds that the next opening lasts, without jitter
        self._until = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until a request may be allowed; 0 means now."""
        return 0.0 if self.circuit is Circuit.CLOSED else max(self._until - now, 0.0)

    def allow(self, now: float) -> bool:
        """Whether to send a request now. If the circuit isn't closed, True grants the single probe."""
        if self.wait(now) > 0:
            return False
        if self.circuit is not Circuit.CLOSED:
            self.circuit = Circuit.HALF_OPEN
            self._until = now + self._open_time
        return True

    def record(self, *, ok: bool, now: float) -> None:
        """Record the outcome of an allowed request."""
        self._outcomes.append((now, ok))
        if self.circuit is not Circuit.CLOSED:
            self._close() if ok else self._open(now)
        elif self._is_failing(now):
            self._open(now)

    def _is_failing(self, now: float) -> bool:
        recent = [ok for time, ok in self._outcomes if now - time <= HORIZON]
        return len(recent) >= MIN_OUTCOMES and recent.count(False) >= FAILURE_RATE * len(recent)

    def _open(self, now: float) -> None:
        self.circuit = Circuit.OPEN
        self._until = now + self._open_time * self._random.uniform(1 - JITTER, 1 + JITTER)
        self._open_time = min(self._open_time * 2, MAX_OPEN_TIME)

    def _close(self) -> None:
        self.circuit = Circuit.CLOSED
        self._open_time = MIN_OPEN_TIME
        self._outcomes.clear()
