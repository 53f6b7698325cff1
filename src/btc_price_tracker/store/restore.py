"""What a start goes on from: the last price, and as many recent ones as history allows."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import structlog

from btc_price_tracker.errors import InvalidStoreUrl
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span, Store
from btc_price_tracker.store.failure import failure
from btc_price_tracker.store.paging import newest_first

log = structlog.get_logger(__name__)


class Restored(NamedTuple):
    """The recent ticks, encoded, by id, oldest first and without a hole; and the last of them."""

    frames: list[tuple[int, bytes]]
    floor: int  # no new id may lie at or below it; what came before the frames is looked for in the store
    last: Tick | None


async def restore(store: Store, size: int, now: int, encode: Callable[[Tick], bytes]) -> Restored:
    """Read the newest `size` ticks at `now` (ms since the epoch); the event loop gets turns between pages.

    If the store fails, the result holds what was read by then, without a hole: the newest ticks are read first.
    Raises InvalidStoreUrl if there will never be a store.
    """
    span, last = Span(0, 0, dropped=now - 1), None
    pages: list[list[tuple[int, bytes]]] = []  # the newest first
    try:
        span = await store.span()
        async for ticks in newest_first(store, size, span.first):
            last = last or ticks[-1]
            pages.append([(tick.id, encode(tick)) for tick in ticks])
            await asyncio.sleep(0)
    except InvalidStoreUrl:
        raise
    except Exception as error:
        why = failure(error)
        log.error(
            "the store fails; starting without all of its history",
            read=sum(map(len, pages)),
            reason=why.reason,
            exc_info=why.bug,
        )
    unread = pages[-1][0][0] - 1 if pages else span.last
    floor = max(span.dropped, unread if unread >= span.first else 0)
    return Restored([frame for page in reversed(pages) for frame in page], floor, last)
