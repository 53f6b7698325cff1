"""The start of a stream: the id after which it gets prices, and the frames before them."""

import asyncio
import random
from dataclasses import dataclass

from btc_price_tracker.errors import StoreError
from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.counts import NOTHING, Sums
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.store import Span
from btc_price_tracker.web.stream.position import Anchor, Position
from btc_price_tracker.web.stream.shared import Streams


@dataclass(slots=True)
class Start:
    """Where a stream continues: after an id, with frames to be sent first.

    With those, the client has the status frame `sent_status` and the frame `sources` (see Hub.join).
    """

    after: int
    opening: bytes = b""
    sent_status: bytes = b""
    sources: bytes | None = None
    sent: Sums = NOTHING  # of the replay


def greeting(hub: Hub) -> bytes:
    """The first frame of every stream: the status, with the wait before reconnecting.

    With jitter, since an EventSource adds none.
    """
    return sse.with_retry(int(random.uniform(2000, 5000)), hub.sent_status)  # nosec B311 # jitter


def is_recent(position: Position, shared: Streams) -> bool:
    """Whether the start is known without waiting or reading the store."""
    return position.anchor is Anchor.NOW or (
        position.after >= shared.ring.first > 0 and not _is_ahead(position, shared)
    )


def _is_ahead(position: Position, shared: Streams) -> bool:
    """Whether the client comes from an instance that is ahead of this one."""
    return position.anchor is Anchor.ID and position.after > shared.hub.head and shared.peer_wait > 0


async def _catch_up(position: Position, shared: Streams) -> None:
    """Wait until this instance has what the client has: ids must never fall."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + shared.peer_wait
    while _is_ahead(position, shared) and not shared.hub.draining:
        if not await shared.hub.arrivals.within(deadline - loop.time()):
            return


def begin(
    position: Position, shared: Streams, known_from: int = 0, *, is_foreign: bool | None = None
) -> Start:
    """Turn a position into a start, with a `gap` where something can't be replayed.

    Nothing before the id `known_from` + 1 can be. `is_foreign`: the client's id is of a price that isn't in the
    history, since another instance published it while the broker failed; None where only the ring can tell.
    """
    hub, ring = shared.hub, shared.ring
    anchor, after, lost = position
    gap = b""
    # An id that this server never had, or lost. Before the first price, the store may have those up to the floor.
    is_unknown = anchor is Anchor.ID and after > max(hub.head, ring.floor)
    if anchor is Anchor.NOW or is_unknown:
        start = max(hub.head - 1, ring.floor)
        if lost or is_unknown:
            end = start if hub.head else max(start, hub.now())
            gap = sse.gap(after + 1 if is_unknown and after < end else 0, end)
        if outdated := hub.outdated():
            return Start(hub.head, gap + outdated)
        return Start(start, gap)
    start = max(after, known_from)
    if is_foreign is None:
        is_foreign = anchor is Anchor.ID and shared.peer_wait > 0 and ring.lacks(after)
    lost = lost or is_foreign  # it is unknown what else the client has instead of the history
    if lost or start > after:
        gap = sse.gap(0 if lost else after + 1, start)
    return Start(start, gap)


async def locate(position: Position, shared: Streams) -> Start:
    """Turn a position into a start, with the span of the store if it is needed."""
    await _catch_up(position, shared)
    if is_recent(position, shared):
        return begin(position, shared)
    try:
        span = await shared.store.span()
        if 0 < span.first < shared.ring.first:
            shared.ring.yield_to_store()
        is_foreign = await _is_foreign(position, span, shared)
    except StoreError:
        # The hub sends a gap for what the ring can't replay.
        return begin(position, shared, is_foreign=_may_be_foreign(position, shared) or None)
    return begin(position, shared, _known_from(position.anchor, span, shared.ring), is_foreign=is_foreign)


def _may_be_foreign(position: Position, shared: Streams) -> bool:
    """Whether only the store knows if a client's id is that of a price."""
    return position.anchor is Anchor.ID and 0 < position.after <= shared.ring.floor and shared.peer_wait > 0


async def _is_foreign(position: Position, span: Span, shared: Streams) -> bool | None:
    """Whether a client's id isn't that of a price in the store; None where the store doesn't matter."""
    if not _may_be_foreign(position, shared) or position.after < span.first:
        return None
    return await shared.store.get(position.after) is None


def _known_from(anchor: Anchor, span: Span, ring: Ring) -> int:
    """The id after which nothing is missing.

    For a time that is the last price that was dropped. A client with an id has seen a price: if even the oldest one
    here is newer, then history is missing, though this server may never have had it.
    """
    if anchor is Anchor.TIME:
        return span.dropped
    return min((first - 1 for first in (span.first, ring.first) if first), default=ring.floor)
