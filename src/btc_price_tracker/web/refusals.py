"""Counts of what was refused, by reason, and when to say so in the log: not for each."""

import time
from collections import Counter
from collections.abc import Callable, Iterable

LOG_INTERVAL = 60.0  # seconds between two log lines of one reason

IF_PROXY = "if all clients come through a proxy, set TRUSTED_PROXIES to its address"


class Refusals:
    """Counts that only grow."""

    def __init__(self, reasons: Iterable[str], monotonic: Callable[[], float] = time.monotonic) -> None:
        self.counts = Counter(dict.fromkeys(reasons, 0))
        self._monotonic = monotonic
        self._logged: dict[str, tuple[float, int]] = {}  # the time of the last log line, and the count then

    def note(self, reason: str) -> int:
        """Count one; returns how many there were since the last log line of this reason if one is due, else 0."""
        self.counts[reason] += 1
        now, count = self._monotonic(), self.counts[reason]
        logged_at, logged = self._logged.get(reason, (-LOG_INTERVAL, 0))
        if now - logged_at < LOG_INTERVAL:
            return 0
        self._logged[reason] = now, count
        return count - logged
