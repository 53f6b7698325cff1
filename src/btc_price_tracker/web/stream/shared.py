"""The parts that all streams of an instance share."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.reactor import Reactor
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.store import Store
from btc_price_tracker.store.outbox import LostRange
from btc_price_tracker.web.gate import Gate


@dataclass(frozen=True, slots=True)
class Streams:
    """The recent prices, the older ones, and what writes to the sockets."""

    hub: Hub
    ring: Ring
    store: Store
    lost_ranges: Sequence[LostRange]  # prices that were never stored
    reactor: Reactor | None = None  # None: every stream stays with the server
    peer_wait: float = (
        0.0  # seconds to wait for an id that another instance has given already; 0 without others
    )
    # Limits: reads of pages older than the ring, and pages of the ring sent through the server per loop iteration.
    replays: Gate = field(default_factory=lambda: Gate(at_once=2))
    catching_up: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
