"""Notices an event loop that doesn't turn, writes every stack to the log once, and remembers.

A thread does that. Code that holds the interpreter's lock, as a regular expression does, stops this thread as well;
for that there is the one of faulthandler, which needs no lock, and writes the stacks to stderr as they are.
"""

import faulthandler
import sys
import threading
import traceback
from collections import deque

import structlog

from btc_price_tracker.clock import Clock

STUCK = 9.0  # seconds without a turn: so that it is noticed within ten
PERIOD = 1.0  # seconds between two looks
RECENT = 60  # looks that are remembered
RECOVERY = 10.0  # seconds for which a loop that was stuck counts as unfit: what gets stuck once does so again
STDERR = 2

log = structlog.get_logger(__name__)


class Watchdog:
    """Measures how late the loop is, once a second."""

    def __init__(self, clock: Clock) -> None:
        self.stalls = 0  # times that it was stuck
        self._clock = clock
        self._turned = clock.monotonic()  # when the loop last turned
        self._recovered = -RECOVERY  # when it last did after it had been stuck
        self._looked = self._turned  # when the thread last looked
        self._reported = False  # whether the log has the stacks already
        self._lags: deque[float] = deque([0.0], maxlen=RECENT)

    @property
    def lag(self) -> float:
        """Seconds by which the loop was late at worst in the last minute."""
        return max(self._lags)

    @property
    def recovering(self) -> bool:
        """Whether the loop was stuck until a moment ago. (One that is stuck can't be asked.)"""
        return self._clock.monotonic() - self._recovered < RECOVERY

    async def watch(self) -> None:
        """Turn with the loop, while a thread looks whether it does. Runs for as long as the service."""
        stop = threading.Event()
        threading.Thread(target=self._keep_looking, args=(stop,), name="watchdog", daemon=True).start()
        try:
            while True:
                due = self._clock.monotonic() + PERIOD
                await self._clock.sleep(PERIOD)
                self._turn(max(self._clock.monotonic() - due, 0.0))
        finally:
            stop.set()

    def look(self) -> None:
        """Report the loop if it is stuck, once; not where this thread was held up with it, and the cause is over."""
        now = self._clock.monotonic()
        was_held_up = now - self._looked >= STUCK / 2
        self._looked = now
        if now - self._turned >= STUCK and not (self._reported or was_held_up):
            self._reported = True
            log.error("event loop is stuck", seconds=round(now - self._turned, 1), stacks=_stacks())

    def _turn(self, lag: float) -> None:
        self._turned = self._clock.monotonic()
        self._lags.append(lag)
        self._reported = False
        if lag >= STUCK - PERIOD:  # what look() may have seen
            self.stalls += 1
            self._recovered = self._turned
            log.warning("event loop turns again", stuck_for_seconds=round(lag, 1))

    def _keep_looking(self, stop: threading.Event) -> None:
        while not stop.wait(PERIOD):
            faulthandler.dump_traceback_later(
                STUCK, file=STDERR
            )  # unless this thread comes here again before
            self.look()
        faulthandler.cancel_dump_traceback_later()


def _stacks() -> str:
    """Where every thread is, the event loop's among them; without local variables, of which one may be a password."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - documented, for this
    )
