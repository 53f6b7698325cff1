"""A rate limit per kind of log line: clients that can provoke one, say with a bad request, must not fill the disk."""

import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

BURST = 50  # lines of one kind in PERIOD
PERIOD = 10.0  # seconds
MAX_KINDS = 1000  # remembered kinds; a kind is a logger, a level and an event, without its values

Kind = tuple[Hashable, ...]


@dataclass(slots=True)
class _Window:
    begun: float
    lines: int = 1


class Limiter:
    """Passes BURST lines of a kind per PERIOD, then one notice; the next period begins with the number suppressed."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._windows: dict[Kind, _Window] = {}

    def limit(self, record: logging.LogRecord) -> list[logging.LogRecord]:
        """Return the records to write in place of `record`: itself, a notice, both or none."""
        now, event = self._monotonic(), _event(record)
        kind = (record.name, record.levelno, event)
        window = self._windows.get(kind)
        if window is None or now - window.begun >= PERIOD:
            if len(self._windows) >= MAX_KINDS:
                self._windows.clear()
            self._windows[kind] = _Window(now)
            suppressed = window.lines - BURST if window else 0
            notice = [_notice(f"{suppressed} log lines like {event!r} suppressed")] if suppressed > 0 else []
            return [*notice, record]
        window.lines += 1
        if window.lines == BURST + 1:
            return [_notice(f"too many log lines like {event!r}: suppressed for up to {PERIOD:g} s")]
        return [record] if window.lines <= BURST else []


def _event(record: logging.LogRecord) -> str:
    """The event of a record, without its values."""
    return str(record.msg.get("event") if isinstance(record.msg, dict) else record.msg)


def _notice(text: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)
