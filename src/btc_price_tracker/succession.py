"""What a new leader does before its first round: store what the store lacks, publish what it published alone."""

from dataclasses import dataclass

import structlog

from btc_price_tracker.broker import Broker, Term
from btc_price_tracker.broker.alone import Alone
from btc_price_tracker.broker.held import held
from btc_price_tracker.broker.link import Link
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.store import Store
from btc_price_tracker.store.failure import failure
from btc_price_tracker.store.outbox import Outbox

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An instance that may lead: what a new term of it needs."""

    broker: Broker
    link: Link
    alone: Alone
    hub: Hub
    store: Store
    outbox: Outbox

    async def succeed(self, term: Term) -> None:
        """Make a new term continue those before it. Raises LeaseLost and BrokerUnavailable.

        What this instance published alone is published to all, unless others have published meanwhile: then it is
        forgotten.
        """
        shared = self.link.newest
        await self._store_missing(term)
        updates = self.alone.take()
        if updates and term.last > shared:
            self.hub.rejoin(shared)
            return
        for update in updates:
            await term.publish(update)
            if update.tick is not None:
                self.link.received(update.tick)
                await self.outbox.keep(update.tick)
        if updates:
            log.info("prices of the outage published", count=len(updates))

    async def _store_missing(self, term: Term) -> None:
        """Store what earlier leaders published and the store lacks.

        The broker may have lost its memory: what came through it to this instance counts as well.
        """
        stored = await _last_stored(self.store)
        after = min(stored, self.link.recent[0].id - 1) if self.link.recent else stored
        missing = [tick for tick in self.link.recent if tick.id > stored]
        if term.last > after:
            ticks = [tick async for tick in held(self.broker, after, until=term.last)]
            for tick in ticks:
                self.link.received(tick)
            missing = [tick for tick in ticks if tick.id > stored]
        for tick in missing:
            await self.outbox.keep(tick)
        if missing:
            log.info("prices of earlier leaders stored", count=len(missing))


async def _last_stored(store: Store) -> int:
    """The newest id in the store; 0 where it fails, so that everything that the broker holds is offered to it."""
    try:
        return (await store.span()).last
    except Exception as error:  # noqa: BLE001 - a bug in a store mustn't end the term
        log.warning("history not compared with the broker", reason=failure(error).reason)
        return 0
