"""What a start goes on from: the last price, and the ring as full as history allows."""

import asyncio

import structlog

from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span, Store, UnusableUrl
from btc_price_tracker.store.failure import failure
from btc_price_tracker.store.paging import newest_first

log = structlog.get_logger(__name__)


async def recall(store: Store, size: int, now: int) -> tuple[Ring, Tick | None]:
    """A ring of the newest `size` prices, and the last of them; the loop gets turns between pages.

    Where the store fails, the ring holds what was read by then, which has no hole: the newest was read first. Its
    floor says where it begins, and no id may lie below that; what came before is looked for in the store, once it is
    back. Raises UnusableUrl where there will never be one.
    """
    span, last = Span(0, 0, dropped=now - 1), None
    pages: list[list[tuple[int, bytes]]] = []  # the newest first
    try:
        span = await store.span()
        async for ticks in newest_first(store, size, span.first):
            last = last or ticks[-1]
            pages.append([(tick.id, sse.price(tick)) for tick in ticks])
            await asyncio.sleep(0)
    except UnusableUrl:
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
    ring = Ring(size, floor=max(span.dropped, unread if unread >= span.first else 0))
    for page in reversed(pages):
        for tick_id, frame in page:
            ring.append(tick_id, frame)
        await asyncio.sleep(0)
    return ring, last
