"""Restoring the state of a service at its start: the last price, and the recent ones for its ring."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from btc_price_tracker.errors import InvalidStoreUrl, StoreError
from btc_price_tracker.price.model import Tick
from btc_price_tracker.price.parameters import RECENT
from btc_price_tracker.store import Span, Store
from btc_price_tracker.store.failure import failure
from btc_price_tracker.store.paging import newest_first

log = structlog.get_logger(__name__)


class Restored(NamedTuple):
    """Encoded recent ticks by id, oldest first and without a gap; and the last tick."""

    frames: list[tuple[int, bytes]]
    floor: int  # every new id must exceed it; older ticks than the frames are read from the store
    last: Tick | None
    recent: tuple[Tick, ...]  # the last ones with their quotes, for the price rule; oldest first


def restored_from(ticks: Sequence[Tick], encode: Callable[[Tick], bytes]) -> Restored:
    """The same from ticks with their quotes, oldest first and at least one, which are the newest of all."""
    frames = [(tick.id, encode(tick)) for tick in ticks]
    return Restored(frames, ticks[0].id - 1, ticks[-1], tuple(ticks[-RECENT:]))


async def restore(store: Store, size: int, now: int, encode: Callable[[Tick], bytes]) -> Restored:
    """Read the newest `size` ticks, at `now` in ms since the epoch; the event loop runs between pages.

    Pages are read newest first. So if the store fails, the result contains those read before, without a gap.
    Raises InvalidStoreUrl, after which the store can never be opened.
    """
    span, last, recent = Span(0, 0, dropped=now - 1), None, tuple[Tick, ...]()
    pages: list[list[tuple[int, bytes]]] = []  # newest first
    try:
        span = await store.span()
        async for ticks in newest_first(store, size, span.first):
            if last is None:
                last = ticks[-1]
                recent = await _with_quotes(store, ticks[-RECENT:])
            pages.append([(tick.id, encode(tick)) for tick in ticks])
            await asyncio.sleep(0)
    except InvalidStoreUrl:
        raise
    except Exception as error:
        cause = failure(error)
        log.error("history not restored", read=sum(map(len, pages)), reason=cause.reason, exc_info=cause.bug)
    unread = pages[-1][0][0] - 1 if pages else span.last
    floor = max(span.dropped, unread if unread >= span.first else 0)
    return Restored([frame for page in reversed(pages) for frame in page], floor, last, recent)


async def _with_quotes(store: Store, ticks: Sequence[Tick]) -> tuple[Tick, ...]:
    """The same ticks with their quotes; only the last, without them, where these can't be read.

    The price then goes on from the last one, and what the rule had learned is lost.
    """
    try:
        return tuple(await store.page_with_quotes(ticks[0].id - 1, ticks[-1].id, len(ticks)))
    except StoreError as error:
        log.error("quotes not restored", reason=str(error))
        return (ticks[-1],)
