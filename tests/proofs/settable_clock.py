"""The program with a wall clock that can be set: SIGRTMIN puts it an hour ahead, SIGRTMAX makes it right again."""

import signal
import sys
from unittest.mock import patch

from btc_price_tracker.cli.main import main
from btc_price_tracker.clock import SystemClock

HOUR = 3_600_000  # ms


class WrongClock:
    """Replaces `SystemClock.now`."""

    def __init__(self) -> None:
        self._right = SystemClock().now
        self._ahead = 0

    def set(self, number: int, _: object) -> None:
        """Handle a signal."""
        self._ahead = HOUR if number == signal.SIGRTMIN else 0

    def now(self) -> int:
        return self._right() + self._ahead


if __name__ == "__main__":
    clock = WrongClock()
    for each in (signal.SIGRTMIN, signal.SIGRTMAX):
        signal.signal(each, clock.set)
    with patch.object(SystemClock, "now", lambda _: clock.now()):
        sys.exit(main())
