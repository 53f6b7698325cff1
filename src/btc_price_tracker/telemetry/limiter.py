"""How often the log says the same: whoever can provoke a line, with a request for one, must not fill a disk with it."""

import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

BURST = 50  # lines of a kind …
PERIOD = 10.0  # … in so many seconds
MAX_KINDS = 1000  # that are remembered; what a client sends is no part of a kind

Kind = tuple[Hashable, ...]


@dataclass(slots=True)
class _Window:
    begun: float
    lines: int = 1


class Limiter:
    """Passes the first BURST lines of a kind in each PERIOD, says that it leaves out the rest, and later how many."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._windows: dict[Kind, _Window] = {}

    def limit(self, record: logging.LogRecord) -> list[logging.LogRecord]:
        """What to write for a record: itself or nothing, and a notice where the one turns into the other."""
        now, event = self._monotonic(), _event(record)
        kind = (record.name, record.levelno, event)
        window = self._windows.get(kind)
        if window is None or now - window.begun >= PERIOD:
            if len(self._windows) >= MAX_KINDS:
                self._windows.clear()
            self._windows[kind] = _Window(now)
            left_out = window.lines - BURST if window else 0
            return [
                *([_notice(f"{left_out} log lines like {event!r} left out")] if left_out > 0 else ()),
                record,
            ]
        window.lines += 1
        if window.lines == BURST + 1:
            return [_notice(f"too many log lines like {event!r}: the rest of {PERIOD:g} s is left out")]
        return [record] if window.lines <= BURST else []


def _event(record: logging.LogRecord) -> str:
    """What a line says, without its values."""
    return str(record.msg.get("event") if isinstance(record.msg, dict) else record.msg)


def _notice(text: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)
