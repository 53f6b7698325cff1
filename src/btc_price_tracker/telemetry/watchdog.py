"""Detects a stuck event loop and logs the stacks of all threads, once per stall.

A Python thread does the logging. Code that holds the GIL, such as a regular expression, blocks that thread as well, and
its stacks are not logged. The thread of faulthandler would need no GIL, but reads the frames of running threads: after
a freeze, when all of them go on at once, it crashed the process.
"""

import sys
import threading
import traceback
from collections import deque

import structlog

from btc_price_tracker.clock import Clock

RECENT = 60  # measurements that `lag` covers

log = structlog.get_logger(__name__)


class Watchdog:
    """Measures the delay of the event loop once per period."""

    def __init__(
        self, clock: Clock, stall_after: float = 9.0, recovery: float = 10.0, period: float = 1.0
    ) -> None:
        """Report a stall after `stall_after` seconds without an iteration, checked every `period` seconds.

        For `recovery` seconds after a stall `recovering` is true, so that a prober notices repeated stalls.
        """
        self.stalls = 0  # since the start
        self._clock = clock
        self._stall_after = stall_after
        self._recovery = recovery
        self._period = period
        self._turned = clock.monotonic()  # time of the last iteration that was seen
        self._recovered = -recovery  # time at which the last stall ended
        self._checked = self._turned  # time of the thread's last check
        self._reported = False  # whether this stall's stacks are in the log
        self._lags: deque[float] = deque([0.0], maxlen=RECENT)

    @property
    def lag(self) -> float:
        """The longest delay in the last minute, in seconds."""
        return max(self._lags)

    @property
    def recovering(self) -> bool:
        """Whether a stall ended so recently that this instance counts as unhealthy.

        A request that waited for the end of a stall may be handled before `watch` has seen that end.
        """
        now = self._clock.monotonic()
        return now - self._recovered < self._recovery or now - self._turned >= self._stall_after

    async def watch(self) -> None:
        """Measure the delay of the loop while a thread checks for stalls. Runs for as long as the service."""
        stop = threading.Event()
        threading.Thread(target=self._keep_checking, args=(stop,), name="watchdog", daemon=True).start()
        try:
            while True:
                due = self._clock.monotonic() + self._period
                await self._clock.sleep(self._period)
                self._turn(max(self._clock.monotonic() - due, 0.0))
        finally:
            stop.set()

    def check(self) -> None:
        """Log the stacks if the loop is stuck; not if this thread was blocked with it: then the cause is over."""
        now = self._clock.monotonic()
        was_blocked = now - self._checked >= self._stall_after / 2
        self._checked = now
        if now - self._turned >= self._stall_after and not (self._reported or was_blocked):
            self._reported = True
            log.error("event loop is stuck", seconds=round(now - self._turned, 1), stacks=_stacks())

    def _turn(self, lag: float) -> None:
        self._turned = self._clock.monotonic()
        self._lags.append(lag)
        self._reported = False
        if lag >= self._stall_after - self._period:  # check() counts from the iteration before
            self.stalls += 1
            self._recovered = self._turned
            log.warning("event loop recovered", stuck_for_seconds=round(lag, 1))

    def _keep_checking(self, stop: threading.Event) -> None:
        while not stop.wait(self._period):
            self.check()


def _stacks() -> str:
    """The stacks of all threads, without local variables, which may hold secrets."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - documented, for this
    )
