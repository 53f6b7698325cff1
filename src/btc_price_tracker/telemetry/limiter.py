"""A rate limit per kind of log line: clients that can provoke lines, say with bad requests, must not fill the disk."""

import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from btc_price_tracker.telemetry.log_counts import LOG_COUNTS

Kind = tuple[Hashable, ...]  # logger, level and event, without its values


@dataclass(slots=True)
class _Window:
    began: float
    lines: int = 1


class Limiter:
    """Passes `burst` lines of a kind per period, then one notice; the next period begins with the number suppressed."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        burst: int = 50,
        period: float = 10.0,
        max_kinds: int = 1000,
    ) -> None:
        """Count per period of so many seconds; the counts of up to `max_kinds` kinds are kept."""
        self._burst = burst
        self._period = period
        self._max_kinds = max_kinds
        self._monotonic = monotonic
        self._windows: dict[Kind, _Window] = {}

    def limit(self, record: logging.LogRecord) -> list[logging.LogRecord]:
        """Return the records to write in place of `record`: itself, a notice, both or none."""
        now, event = self._monotonic(), _event(record)
        kind = (record.name, record.levelno, event)
        window = self._windows.get(kind)
        if window is None or now - window.began >= self._period:
            if len(self._windows) >= self._max_kinds:
                self._windows.clear()
            self._windows[kind] = _Window(now)
            suppressed = window.lines - self._burst if window else 0
            notice = [_notice(f"{suppressed} log lines like {event!r} suppressed")] if suppressed > 0 else []
            return [*notice, record]
        window.lines += 1
        if window.lines > self._burst:
            LOG_COUNTS.suppressed += 1
        if window.lines == self._burst + 1:
            return [_notice(f"too many log lines like {event!r}: suppressed for up to {self._period:g} s")]
        return [record] if window.lines <= self._burst else []


def _event(record: logging.LogRecord) -> str:
    """The event of a record, without its values."""
    return str(record.msg.get("event") if isinstance(record.msg, dict) else record.msg)


def _notice(text: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)
