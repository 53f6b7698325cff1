"""Log lines on their way out, for which the service never waits.

Whoever reads them may stop: a paused terminal, a stuck log shipper. The pipe is full after 64 KiB, and the next write
to it lasts for ever.
"""

import logging
import os
import threading
from contextlib import suppress
from queue import Full, Queue

from btc_price_tracker.telemetry.limiter import Limiter

STDERR = 2  # the descriptor: the lock of sys.stderr would be held for ever, and the interpreter needs it at its end
ROOM = 1000  # lines that wait; what comes then is lost
PATIENCE = 1.0  # seconds, at the end of the process, for those that wait


class Writer(logging.Handler):
    """Formats lines at once and writes them to stderr from a thread of its own; says how many were lost."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: Queue[str] = Queue(ROOM)
        self._lost = 0  # only ever grows
        self._limiter = Limiter()
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line for the thread, or count it as dropped; the limiter may suppress it."""
        try:
            for each in self._limiter.limit(record):
                self._lines.put_nowait(self.format(each))
        except Full:
            self._lost += 1
        except Exception:  # noqa: BLE001 - as every handler: a line that can't be made is no fault of who says it
            self.handleError(record)

    def flush(self) -> None:
        """Wait for the lines that are on their way, a while; at the end of the process `logging` calls it, too."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, PATIENCE)

    def _write(self) -> None:
        told = 0
        while True:
            self._put(self._lines.get())
            if lost := self._lost - told:
                told += lost
                self._put(self.format(_loss(lost)))
            self._lines.task_done()

    def _put(self, line: str) -> None:
        unwritten = f"{line}\n".encode(errors="backslashreplace")
        with suppress(OSError):  # nobody reads it any more, or the disk is full: where could that be said?
            while unwritten:
                unwritten = unwritten[os.write(STDERR, unwritten) :]


def _loss(lines: int) -> logging.LogRecord:
    said = f"{lines} lines of the log are lost: nobody took them"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, said, None, None)
