"""What is older than the ring: sent from the store, page by page, under ASGI's back-pressure."""

from collections.abc import Iterable

import structlog
from starlette.types import Send

from btc_price_tracker.fanout import sse
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import StoreError
from btc_price_tracker.store.outbox import Hole
from btc_price_tracker.store.paging import PAGE
from btc_price_tracker.web import asgi
from btc_price_tracker.web.exchange import Exchange
from btc_price_tracker.web.shared import Streams
from btc_price_tracker.web.start import Start

log = structlog.get_logger(__name__)


async def replay(start: Start, shared: Streams, send: Send, exchange: Exchange | None) -> None:
    """Send what is older than the ring as fast as the client takes it, and move `start` on to what is left.

    A slow client takes its time, and the ring goes on meanwhile: so look again when the client has it all. When
    this returns, every byte is with the kernel.
    """
    hub, ring, store = shared.hub, shared.ring, shared.store
    if exchange is not None:
        exchange.hold_nothing_back()
    await _deliver(send, b"")
    if start.after < ring.floor:
        start.sources = None if start.sources is None else hub.sources()
        await _deliver(send, start.opening + (start.sources or b""))
        start.opening = b""
    try:
        while start.after < ring.floor and not (_is_closing(exchange) or hub.draining):
            # The store is ahead of the hub by a moment: what isn't published yet is the hub's to send. Before the first
            # price, all up to the floor is history.
            page = await store.page(start.after, max(hub.head, ring.floor), PAGE)
            dropped = (await store.span()).dropped  # retention goes on while a client takes its time
            if page:
                lost = Hole(start.after + 1, min(dropped, page[0].id - 1))
                await _deliver(send, _frames(start.after, page, [lost, *shared.holes]))
                start.after = page[-1].id
            elif dropped <= start.after < ring.store_only:
                start.after = ring.store_only
            else:
                break  # the store has lost it too: the hub will say so
    except StoreError as error:
        log.warning("history cut short", reason=str(error))


def _frames(after: int, page: Iterable[Tick], holes: Iterable[Hole]) -> bytes:
    """A page of the store that follows the id `after`, with a gap where a hole is crossed."""
    frames = []
    for tick in page:
        frames += [sse.gap(*hole) for hole in holes if after < hole.last < tick.id]
        frames.append(sse.price(tick))
        after = tick.id
    return b"".join(frames)


async def _deliver(send: Send, frames: bytes) -> None:
    """Send frames, and return when the kernel has them: the next `send` begins then (Exchange.hold_nothing_back)."""
    await send(asgi.bare(frames))
    if frames:
        await send(asgi.body(b""))


def _is_closing(exchange: Exchange | None) -> bool:
    return exchange is not None and exchange.closing
