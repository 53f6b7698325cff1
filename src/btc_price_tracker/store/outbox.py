"""Between the tick path and the store: what can't be written now waits, in order, and is written when it can be."""

from collections import deque

import structlog

from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store, StoreError

BATCH = 500  # ticks written at once after an outage

log = structlog.get_logger(__name__)


class Outbox:
    """Writes each tick before it is published, unless the store fails: prices go on without it (DESIGN 6).

    `fault` says why the store fails, None while it doesn't; `lost` counts ticks that overflowed the queue.
    """

    def __init__(self, store: Store, size: int) -> None:
        self.fault: str | None = None
        self.lost = 0
        self._store = store
        self._waiting: deque[Tick] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._waiting)

    async def keep(self, tick: Tick) -> None:
        """Write what waits, then this tick; never raises for the store's sake."""
        if len(self._waiting) == self._waiting.maxlen:
            self.lost += 1
        self._waiting.append(tick)
        await self.flush()

    async def flush(self) -> None:
        """Write what waits, oldest first. A batch that failed half-way is offered again: the store knows its ids."""
        try:
            while self._waiting:
                batch = [self._waiting[at] for at in range(min(BATCH, len(self._waiting)))]
                await self._store.append(batch)
                for _ in batch:
                    self._waiting.popleft()
        except StoreError as error:
            if self.fault is None:
                log.error("store fails, prices go on and wait for it", reason=str(error))
            self.fault = str(error)
        else:
            if self.fault is not None:
                log.info("store is back, nothing waits", lost=self.lost)
            self.fault = None
