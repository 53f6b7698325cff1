"""A bounded queue between the pipeline and the store: ticks that can't be written now are written later, in order."""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import structlog

from btc_price_tracker.clock import Clock
from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store
from btc_price_tracker.store.failure import Failure, failure

WRITE_TIMEOUT = 2.0  # seconds

log = structlog.get_logger(__name__)


class LostRange(NamedTuple):
    """Ids, from `first` to `last`, of prices that were never written to the store."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """Timeouts, in seconds, and sizes of an Outbox.

    A tick delays its publication by `write_timeout` at most; a failing store is retried every `retry_delay`; at
    shutdown, `close_timeout` is the time for what is queued. `batch_size` ticks are written per append, and
    `lost_ranges` outages that exceeded the queue are remembered.
    """

    write_timeout: float = WRITE_TIMEOUT
    retry_delay: float = 1.0
    close_timeout: float = 5.0
    batch_size: int = 500
    lost_ranges: int = 100


class Outbox:
    """Writes each tick before it is published. While the store fails, ticks are queued and prices go on.

    A tick that the store never accepts blocks those behind it until it is the oldest of a full queue and dropped:
    whatever the bug, it costs history, never the price.
    """

    def __init__(self, store: Store, clock: Clock, size: int, limits: OutboxLimits | None = None) -> None:
        """`size` is the capacity of the queue in ticks."""
        self.fault: str | None = None  # why the store fails; None while it works
        self.outages = 0  # times that the store began to fail
        self.lost = 0  # number of ticks dropped from a full queue, oldest first
        self._store = store
        self._clock = clock
        self._limits = limits = limits or OutboxLimits()
        self.lost_ranges: deque[LostRange] = deque(maxlen=limits.lost_ranges)  # of those ticks, oldest first
        self._queue: deque[Tick] = deque(maxlen=size)
        self._is_overflowing = False  # whether the next dropped tick extends the last lost range
        self._attempt: asyncio.Future[int] | None = None  # the latest append

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def waiting(self) -> float:
        """Seconds since the oldest queued tick was published; 0 if none is queued."""
        return max(self._clock.now() - self._queue[0].id, 0) / 1000 if self._queue else 0.0

    @property
    def newest(self) -> int:
        """The id of the newest queued tick; 0 if none is queued."""
        return self._queue[-1].id if self._queue else 0

    def get(self, tick_id: int) -> Tick | None:
        """The tick with this id if it is queued."""
        return next((tick for tick in self._queue if tick.id == tick_id), None)

    def settled(self, now: int) -> int:
        """The time (ms) before which the store has, at `now`, every tick that it will get from here."""
        return min(now, self._queue[0].id) if self._queue else now

    async def keep(self, tick: Tick) -> str | None:
        """Write a tick or, while the store fails, only queue it; returns why it fails, and raises nothing then."""
        if len(self._queue) == self._queue.maxlen:
            self._count_lost(self._queue[0].id)
        self._queue.append(tick)
        if self.fault is None:
            await self._flush(self._limits.write_timeout)
        return self.fault

    async def recover(self) -> None:
        """Retry periodically while the store fails. Runs for the lifetime of the service."""
        while True:
            await self._clock.sleep(self._limits.retry_delay)
            if self.fault is not None:
                await self._flush(self._limits.write_timeout)

    async def close(self) -> None:
        """Try once more to write what is queued, after the last keep() and before the store is closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.close_timeout):
                await self._flush(self._limits.close_timeout)
        if self._queue:  # an append in progress may still succeed
            log.warning("queued prices not stored", waiting=len(self._queue), reason=self.fault)

    async def _flush(self, write_timeout: float) -> None:
        """Write the queue, oldest first. Batches that may have been stored are repeated, as append() allows."""
        try:
            while self._queue:
                batch = list(islice(self._queue, self._limits.batch_size))
                await self._write(batch, write_timeout)
                self._remove(batch)
                log.debug("prices stored", count=len(batch), last=batch[-1].id, queued=len(self._queue))
        except Exception as error:  # noqa: BLE001 - a bug in a store must not end the service
            self._on_failure(failure(error))
        else:
            self._on_success()

    async def _write(self, batch: list[Tick], write_timeout: float) -> None:
        """Append within the timeout. Raises StoreError, or any other exception of a store with a bug.

        An append that timed out may take a while to end. The next one waits for it, so that there are never two at a
        time, but no longer than the timeout either: a late price is worse.
        """
        timed_out = StoreError(f"no response within {write_timeout:g} s")
        if self._attempt is not None:
            await asyncio.wait({self._attempt}, timeout=write_timeout)
            if not self._attempt.done():
                raise timed_out
        self._attempt = asyncio.ensure_future(self._store.append(batch))
        self._attempt.add_done_callback(lambda attempt: attempt.cancelled() or attempt.exception())
        await asyncio.wait({self._attempt}, timeout=write_timeout)
        if not self._attempt.done():
            self._attempt.cancel()
            raise timed_out
        self._attempt.result()

    def _count_lost(self, tick_id: int) -> None:
        self.lost += 1
        first = self.lost_ranges.pop().first if self._is_overflowing else tick_id
        self.lost_ranges.append(LostRange(first, tick_id))
        self._is_overflowing = True

    def _remove(self, batch: list[Tick]) -> None:
        """Remove written ticks from the queue, except those that were dropped meanwhile."""
        self._is_overflowing = False
        while self._queue and self._queue[0].id <= batch[-1].id:
            self._queue.popleft()

    def _on_failure(self, cause: Failure) -> None:
        self.outages += self.fault is None
        if self.fault is None or (cause.bug is not None and cause.reason != self.fault):
            log.error("store failed", reason=cause.reason, exc_info=cause.bug)
        self.fault = cause.reason

    def _on_success(self) -> None:
        if self.fault is not None:
            log.info("store recovered", lost=self.lost)
        self.fault = None
