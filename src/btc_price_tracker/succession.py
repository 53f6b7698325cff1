"""What a new leader does before its first round: store what the store lacks, publish what it published alone."""

from collections import deque
from dataclasses import dataclass

import structlog
from msgspec.structs import replace

from btc_price_tracker.broker import Broker, Term
from btc_price_tracker.broker.alone import Alone
from btc_price_tracker.broker.held import held
from btc_price_tracker.broker.link import Link
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.price.model import Update
from btc_price_tracker.store import Store
from btc_price_tracker.store.failure import failure
from btc_price_tracker.store.outbox import Outbox

OFFERED = 12 * 3600 * 1000  # ms of prices that a store may lack that fails: half of what the outbox holds

log = structlog.get_logger(__name__)


class Publications:
    """The publications of a term. Each names the id before it, so that an instance that missed that knows it."""

    def __init__(self, term: Term, last: int, *, is_certain: bool = True) -> None:
        """`last` is the highest id of all that was published before, as far as that is certain."""
        self.last = last
        self._term = term
        self._is_certain = is_certain

    async def publish(self, update: Update) -> None:
        """See Term.publish."""
        if update.tick is None:
            await self._term.publish(update)
            return
        # Where it isn't certain, another instance may have published up to just before this one.
        previous = self.last if self._is_certain else update.tick.id - 1
        await self._term.publish(replace(update, previous=previous))
        self.last, self._is_certain = update.tick.id, True


@dataclass(frozen=True, slots=True)
class Candidate:
    """An instance that may lead: what a new term of it needs."""

    broker: Broker
    link: Link
    alone: Alone
    hub: Hub
    store: Store
    outbox: Outbox

    async def succeed(self, term: Term) -> Publications:
        """Make a new term continue those before it. Raises LeaseLost and BrokerUnavailable.

        What this instance published alone is published to all, unless others have published meanwhile: then it is
        forgotten.
        """
        shared = self.link.delivered
        stored = await _last_stored(self.store)
        # One that fails is taken to have all but the newest prices.
        ends = max(term.last - OFFERED, self.outbox.newest) if stored is None else stored
        await self._store_missing(term, ends)
        last = max(term.last, stored or 0, self.link.newest)
        # A broker that holds nothing has perhaps lost what the store, which fails, has.
        publications = Publications(term, last, is_certain=term.last > 0 or stored is not None)
        updates = self.alone.take()
        if updates and publications.last > shared:
            self.hub.rejoin(shared, publications.last)
            return publications
        await self._publish_alone(publications, updates)
        return publications

    async def _publish_alone(self, publications: Publications, updates: list[Update]) -> None:
        """Publish and store what this instance published alone; what the term can't is left to a later one."""
        left = deque(updates)
        try:
            while left:
                await publications.publish(left[0])
                tick = left.popleft().tick
                if tick is not None:
                    self.link.received(tick)
                    await self.outbox.keep(tick)
        finally:
            self.alone.put_back(left)
        if updates:
            log.info("prices of the outage published", count=len(updates))

    async def _store_missing(self, term: Term, stored: int) -> None:
        """Store what earlier leaders published and the store, which ends at the id `stored`, lacks.

        The broker may have lost its memory: what came through it to this instance counts as well.
        """
        after = min(stored, self.link.recent[0].id - 1) if self.link.recent else stored
        missing = {tick.id: tick for tick in self.link.recent if tick.id > stored}
        if term.last > after:
            ticks = [tick async for tick in held(self.broker, after, until=term.last)]
            for tick in ticks:
                self.link.received(tick)
            missing |= {tick.id: tick for tick in ticks if tick.id > stored}
        for tick_id in sorted(missing):
            await self.outbox.keep(missing[tick_id])
        if missing:
            log.info("prices of earlier leaders stored", count=len(missing))


async def _last_stored(store: Store) -> int | None:
    """The newest id in the store; None where it fails."""
    try:
        return (await store.span()).last
    except Exception as error:  # noqa: BLE001 - a bug in a store mustn't end the term
        log.warning("history not compared with the broker", reason=failure(error).reason)
        return None
