"""What all streams of this instance share."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.reactor import Reactor
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.store import Store
from btc_price_tracker.store.outbox import LostRange
from btc_price_tracker.web.admission import StreamLimit
from btc_price_tracker.web.gate import Gate


@dataclass(frozen=True, slots=True)
class Streams:
    """The recent prices, the older ones, who may come in, and who moves the bytes."""

    hub: Hub
    ring: Ring
    store: Store
    lost_ranges: Sequence[LostRange]  # what the store was never given
    admission: StreamLimit
    reactor: Reactor | None = None  # None: every stream stays with the server
    # Limits: reads of pages older than the ring, and pages of the ring sent through the server per loop iteration.
    replays: Gate = field(default_factory=lambda: Gate(at_once=2))
    catching_up: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
