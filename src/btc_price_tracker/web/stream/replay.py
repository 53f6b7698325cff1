"""Replay of what is older than the ring: from the store, page by page, with ASGI's back-pressure.

A few streams at a time read a page; the others wait in order, for each page anew, and get heartbeats meanwhile. So
neither many fast clients nor many slow ones delay the live prices or exhaust the memory.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

import structlog
from starlette.types import Send

from btc_price_tracker.errors import StoreError
from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.counts import GAP, Sums
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store.outbox import LostRange
from btc_price_tracker.web.server.detach import DetachableResponse
from btc_price_tracker.web.stream import messages as asgi
from btc_price_tracker.web.stream.shared import Streams
from btc_price_tracker.web.stream.start import Start

PAGE = 100  # ticks read and sent at once, about 20 KB: the memory of one client that reads nothing

T = TypeVar("T")

log = structlog.get_logger(__name__)


async def replay(start: Start, shared: Streams, send: Send, exchange: DetachableResponse | None) -> None:
    """Send what is older than the ring as fast as the client reads it, and advance `start`.

    The ring moves on while a slow client reads, so it is compared again after each page. When this returns, the kernel
    has every byte.
    """
    hub, ring = shared.hub, shared.ring
    if exchange is not None:
        exchange.hold_nothing_back()
    await _deliver(send, b"", start, hub)
    if start.after < ring.floor:
        start.sources = None if start.sources is None else hub.sources()
        await _deliver(send, start.opening + (start.sources or b""), start, hub)
        start.opening = b""
    try:
        while start.after < ring.floor and not (is_closing(exchange) or hub.draining):
            frames = await with_heartbeats(_next_page(start, shared), hub, send)
            if frames is None:
                break  # the store no longer has it either: the hub sends a gap
            await _deliver(send, frames, start, hub)
    except StoreError as error:
        log.warning("replay aborted", reason=str(error))


async def with_heartbeats(work: Coroutine[Any, Any, T], hub: Hub, send: Send) -> T:
    """Await a read of the store and send a heartbeat for each `hub.heartbeat` seconds that it takes."""
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait({task}, timeout=hub.heartbeat))[0]:
            await send(asgi.bare(sse.heartbeat(hub.now() // 1000)))
        return task.result()
    finally:
        task.cancel()


def is_closing(exchange: DetachableResponse | None) -> bool:
    """Whether the connection is closing."""
    return exchange is not None and exchange.closing


async def _next_page(start: Start, shared: Streams) -> bytes | None:
    """Read the frames that follow `start` and advance it; None if there are none, or at the shutdown.

    Nothing else of the page stays in memory while a slow client reads. Raises StoreError.
    """
    hub, ring, store = shared.hub, shared.ring, shared.store
    async with shared.replays.turn_without_timeout():
        if hub.draining:
            return None
        # The store is slightly ahead of the hub, which sends what isn't published yet. Before the first price,
        # everything up to the floor is history.
        page = await store.page(start.after, max(hub.head, ring.floor), PAGE)
        dropped = (await store.span()).dropped  # retention may delete more while a slow client reads
        if page:
            dropped_range = LostRange(start.after + 1, min(dropped, page[0].id - 1))
            frames = _frames(start.after, page, [dropped_range, *shared.lost_ranges])
            start.after = page[-1].id
            return frames
        if dropped <= start.after < ring.store_only:
            start.after = ring.store_only
            return b""
        return None


def _frames(after: int, page: Iterable[Tick], lost_ranges: Iterable[LostRange]) -> bytes:
    """A page of the store that follows the id `after`, with a gap where a lost range is crossed."""
    frames = []
    for tick in page:
        frames += [sse.gap(*lost) for lost in lost_ranges if after < lost.last < tick.id]
        frames.append(sse.price(tick))
        after = tick.id
    return b"".join(frames)


async def _deliver(send: Send, frames: bytes, start: Start, hub: Hub) -> None:
    """Send frames and return when the kernel has them: the next `send` begins then (see hold_nothing_back)."""
    await send(asgi.bare(frames))
    if frames:
        await send(asgi.body(b""))
        sums = Sums.of(frames)
        start.sent = start.sent.plus(sums)
        hub.counts.sent(sums)
        hub.counts.gaps += frames.count(GAP)
