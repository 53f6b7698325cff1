"""Where a stream begins: the id after which it gets prices, and the frames that come before them."""

import random
from dataclasses import dataclass

from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.store import Store, StoreError
from btc_price_tracker.web.resume import Kind, Position


@dataclass(slots=True)
class Start:
    """`after` and the frames still to be sent; `told` is the status frame the client has already (see Hub.join)."""

    after: int
    opening: bytes
    told: bytes = b""


def is_recent(position: Position, ring: Ring) -> bool:
    """Whether the store need not be asked where to begin."""
    return position.kind in (Kind.NOW, Kind.LOST) or position.after >= ring.first > 0


def begin(position: Position, hub: Hub, known_from: int = 0) -> Start:
    """Turn a position into a start, with a `gap` where what came before the id `known_from` + 1 can't be replayed."""
    retry = sse.retry(int(random.uniform(2000, 5000)))  # jittered: native EventSource has none of its own
    kind, after = position
    current = max(hub.head - 1, 0)
    if kind is Kind.NOW:
        return Start(current, retry)
    if kind is Kind.LOST or (kind is Kind.ID and after > hub.head):
        return Start(current, retry + sse.gap(0, current))
    if after < known_from:
        return Start(known_from, retry + sse.gap(after + 1, known_from))
    return Start(after, retry)


async def locate(position: Position, hub: Hub, ring: Ring, store: Store) -> Start:
    """Begin with what the store knows of the time before the ring, where that is needed."""
    return begin(position, hub, 0 if is_recent(position, ring) else await _known_from(position.kind, store))


async def _known_from(kind: Kind, store: Store) -> int:
    """The id after which nothing is missing.

    For a time that is the last price that was dropped. Who comes with an id has seen a price: if even our oldest is
    younger than it, then history is missing, though we may never have had it.
    """
    try:
        span = await store.span()
    except StoreError:
        return 0  # the hub will say what the ring can't replay
    return span.dropped if kind is Kind.TIME else max(span.first - 1, 0)
