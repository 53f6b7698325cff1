"""Writes log lines to stderr from a thread, so that the event loop never blocks on it.

The reader of a pipe may stop: a paused terminal, a stuck log shipper. The pipe is full after 64 KiB, and the next write
to it blocks forever.
"""

import logging
import os
import select
import threading
from contextlib import suppress
from queue import Full, Queue

from btc_price_tracker.telemetry.limiter import Limiter
from btc_price_tracker.telemetry.log_counts import LOG_COUNTS

STDERR = 2  # the descriptor: a blocked write would hold the lock of sys.stderr, which the interpreter needs at exit


class Writer(logging.Handler):
    """Formats lines at once and writes them from a thread; logs how many were dropped because the queue was full."""

    def __init__(self, capacity: int = 1000, flush_timeout: float = 1.0) -> None:
        """Queue up to `capacity` lines; at exit, wait up to `flush_timeout` seconds for them to be written."""
        super().__init__()
        self._lines: Queue[str] = Queue(capacity)
        self._flush_timeout = flush_timeout
        self._dropped = 0  # lines since the start
        self._limiter = Limiter()
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line for the thread, or count it as dropped; the limiter may suppress it."""
        try:
            LOG_COUNTS.lines[record.levelname.lower()] += 1
            for each in self._limiter.limit(record):
                self._lines.put_nowait(self.format(each))
        except Full:
            self._dropped += 1
            LOG_COUNTS.dropped += 1
        except Exception:  # noqa: BLE001 - as every handler: logging must not raise in the code that logs
            self.handleError(record)

    def flush(self) -> None:
        """Wait until the queued lines are written, or the timeout; `logging` calls this at exit, too."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, self._flush_timeout)

    def _write(self) -> None:
        reported = 0
        while True:
            self._put(self._lines.get())
            if dropped := self._dropped - reported:
                reported += dropped
                self._put(self.format(_notice(dropped)))
            self._lines.task_done()

    def _put(self, line: str) -> None:
        unwritten = f"{line}\n".encode(errors="backslashreplace")
        with suppress(OSError):  # the reader is gone, or the disk is full: there is nowhere to report it
            while unwritten:
                try:
                    unwritten = unwritten[os.write(STDERR, unwritten) :]
                except BlockingIOError:  # whoever shares it may have made it so
                    select.select([], [STDERR], [])


def _notice(dropped: int) -> logging.LogRecord:
    text = f"{dropped} log lines dropped: stderr is not being read fast enough"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)
