"""How many log lines there were since the start of the process, which has one log."""

from collections import Counter

LEVELS = ("debug", "info", "warning", "error", "critical")


class LogCounts:
    """Counts that only grow."""

    def __init__(self) -> None:
        self.lines: Counter[str] = Counter()  # by level, those not written included
        self.suppressed = 0  # since there were too many alike
        self.dropped = 0  # since stderr was not read fast enough


LOG_COUNTS = LogCounts()
