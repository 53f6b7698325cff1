"""What all streams of this instance share."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.reactor import Reactor
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.store import Store
from btc_price_tracker.store.outbox import Hole
from btc_price_tracker.web.admission import Admission
from btc_price_tracker.web.gate import Gate


@dataclass(frozen=True, slots=True)
class Streams:
    """The recent prices, the older ones, who may come in, and who moves the bytes."""

    hub: Hub
    ring: Ring
    store: Store
    holes: Sequence[Hole]  # what the store was never given
    admission: Admission
    reactor: Reactor | None = None  # None: every stream stays with the server
    # Who reads a page that the ring hasn't got; who sends one of the ring through the server in a turn of the loop.
    replays: Gate = field(default_factory=lambda: Gate(at_once=2))
    catching_up: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
