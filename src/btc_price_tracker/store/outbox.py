"""Between the tick path and the store: what can't be written now waits, in order, and is written when it can be."""

import asyncio
import contextlib
from collections import deque
from itertools import islice
from typing import NamedTuple

import structlog

from btc_price_tracker.clock import Clock
from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store
from btc_price_tracker.store.failure import Failure, failure

PATIENCE = 2.0  # seconds that a price waits for the store
RETRY = 1.0  # seconds between attempts while the store fails
FAREWELL = 5.0  # seconds that the store has at the end to take what waits
BATCH = 500  # ticks written at once after an outage
MAX_LOST_RANGES = 100  # remembered; each is an outage that outlasted the queue

log = structlog.get_logger(__name__)


class LostRange(NamedTuple):
    """Prices that the store was never given: ids from `first` to `last`."""

    first: int
    last: int


class Outbox:
    """Writes each tick before it is published, unless the store fails: prices go on without it.

    A tick that a store never takes holds up those behind it, until it is the oldest that overflows: whatever a
    bug may be, it costs history, never the price.
    """

    def __init__(self, store: Store, clock: Clock, size: int) -> None:
        self.fault: str | None = None  # why the store fails; None while it doesn't
        self.lost = 0  # ticks that overflowed the queue, the oldest first
        self.lost_ranges: deque[LostRange] = deque(
            maxlen=MAX_LOST_RANGES
        )  # that they left in the store, oldest first
        self._store = store
        self._clock = clock
        self._waiting: deque[Tick] = deque(maxlen=size)
        self._overflowing = False  # whether the last hole grows on
        self._attempt: asyncio.Future[int] | None = None  # the last to append

    def __len__(self) -> int:
        return len(self._waiting)

    def get(self, tick_id: int) -> Tick | None:
        """The tick with this id, if it waits for the store."""
        return next((tick for tick in self._waiting if tick.id == tick_id), None)

    def settled(self, now: int) -> int:
        """The moment (ms) before which the store has, as of `now`, everything that it will be given."""
        return min(now, self._waiting[0].id) if self._waiting else now

    async def keep(self, tick: Tick) -> None:
        """Write a tick; while the store fails, only queue it. Never raises for the store's sake."""
        if len(self._waiting) == self._waiting.maxlen:
            self._lose(self._waiting[0].id)
        self._waiting.append(tick)
        if self.fault is None:
            await self._flush(PATIENCE)

    async def recover(self) -> None:
        """While the store fails, try again and again. Runs for as long as the service."""
        while True:
            await self._clock.sleep(RETRY)
            if self.fault is not None:
                await self._flush(PATIENCE)

    async def close(self) -> None:
        """Offer what waits once more, and say what is lost: nobody keeps any more, and the store is still open."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._flush(FAREWELL)
        if self._waiting:  # the store may still take what it is at
            log.warning(
                "prices that waited for the store may be lost", waiting=len(self._waiting), reason=self.fault
            )

    async def _flush(self, patience: float) -> None:
        """Write what waits, oldest first. A batch that may be there already is offered again: a store knows its ids."""
        try:
            while self._waiting:
                batch = list(islice(self._waiting, BATCH))
                await self._write(batch, patience)
                self._forget(batch)
        except Exception as error:  # noqa: BLE001 - a bug in a store mustn't end the service
            self._fail(failure(error))
        else:
            self._succeed()

    async def _write(self, batch: list[Tick], patience: float) -> None:
        """Append within `patience` seconds. Raises StoreError, and whatever else a store with a bug does.

        An attempt that was given up may take its time to end. It is waited for, so that there is never a second one
        beside it, but for no longer than that: a price that is late is worse.
        """
        too_late = StoreError(f"no answer within {patience:g} s")
        if self._attempt is not None:
            await asyncio.wait({self._attempt}, timeout=patience)
            if not self._attempt.done():
                raise too_late
        self._attempt = asyncio.ensure_future(self._store.append(batch))
        self._attempt.add_done_callback(lambda attempt: attempt.cancelled() or attempt.exception())
        await asyncio.wait({self._attempt}, timeout=patience)
        if not self._attempt.done():
            self._attempt.cancel()
            raise too_late
        self._attempt.result()

    def _lose(self, tick_id: int) -> None:
        self.lost += 1
        first = self.lost_ranges.pop().first if self._overflowing else tick_id
        self.lost_ranges.append(LostRange(first, tick_id))
        self._overflowing = True

    def _forget(self, batch: list[Tick]) -> None:
        """Take written ticks off the queue, those that didn't overflow meanwhile."""
        self._overflowing = False
        while self._waiting and self._waiting[0].id <= batch[-1].id:
            self._waiting.popleft()

    def _fail(self, why: Failure) -> None:
        if self.fault is None or (why.bug is not None and why.reason != self.fault):
            log.error("the store fails; prices go on and wait for it", reason=why.reason, exc_info=why.bug)
        self.fault = why.reason

    def _succeed(self) -> None:
        if self.fault is not None:
            log.info("the store is back and has every price that waited", lost=self.lost)
        self.fault = None
