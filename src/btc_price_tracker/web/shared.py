"""What all streams of this instance share."""

from collections.abc import Sequence
from dataclasses import dataclass

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.reactor import Reactor
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.store import Store
from btc_price_tracker.store.outbox import Hole
from btc_price_tracker.web.admission import Admission


@dataclass(frozen=True, slots=True)
class Streams:
    """The recent prices, the older ones, who may come in, and who moves the bytes."""

    hub: Hub
    ring: Ring
    store: Store
    holes: Sequence[Hole]  # what the store was never given
    admission: Admission
    reactor: Reactor | None = None  # None: every stream stays with the server
