"""Retention: prices older than the newest by more than a given time are dropped from the store."""

from collections.abc import Callable

import structlog

from btc_price_tracker.clock import Clock
from btc_price_tracker.store import Store
from btc_price_tracker.store.failure import failure

MANY = 1000  # prices dropped at once that are logged

log = structlog.get_logger(__name__)


async def forget(store: Store, clock: Clock, retention: float, confirmed: Callable[[], int | None]) -> None:
    """Drop prices older than the newest by more than `retention` seconds, once a minute.

    `confirmed` is the time in ms as the sources confirm it. Neither our wall clock nor the newest price can make
    history old beyond it; without it, no more of history goes than time has passed here.
    """
    started, oldest = clock.monotonic(), 0
    logged = None  # the reason that is in the log already
    while True:
        try:
            span = await store.span()
            oldest = oldest or span.first
            passed = int((clock.monotonic() - started) * 1000)
            time = confirmed()
            limit = oldest + passed if time is None else time - int(retention * 1000)
            dropped = await store.prune(min(limit, span.last - int(retention * 1000)))
            if dropped >= MANY:
                log.info("old prices dropped", count=dropped, retention_s=retention)
            logged = None
        except Exception as error:
            why = failure(error)
            if why.reason != logged:
                log.warning("old prices stay for now", reason=why.reason, exc_info=why.bug)
            logged = why.reason
        await clock.sleep(60)
