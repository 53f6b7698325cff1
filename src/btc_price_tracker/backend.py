"""Where an instance keeps its prices and what it shares them through: the store and the broker, and what they held."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from btc_price_tracker.broker import Broker
from btc_price_tracker.broker.held import held
from btc_price_tracker.broker.link import Link
from btc_price_tracker.broker.timed import TimedBroker
from btc_price_tracker.clock import Clock
from btc_price_tracker.configured import A_DAY, broker_of, store_of
from btc_price_tracker.errors import BrokerUnavailable
from btc_price_tracker.fanout import sse
from btc_price_tracker.settings import Settings
from btc_price_tracker.store import OPERATION_TIMEOUT, Store
from btc_price_tracker.store.last_success import LastSuccess
from btc_price_tracker.store.outbox import Outbox, OutboxLimits
from btc_price_tracker.store.restore import Restored, restore, restored_from
from btc_price_tracker.store.timed import TimedStore
from btc_price_tracker.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Backend:
    """The store with its outbox, the broker with the state of its link, and the recent ticks that were there."""

    store: Store
    untimed_store: Store  # the same, past the measurement of its operations
    store_success: LastSuccess
    outbox: Outbox
    broker: Broker
    link: Link
    restored: Restored


@asynccontextmanager
async def open_backend(
    settings: Settings,
    clock: Clock,
    instance: str,
    metrics: Metrics,
    *,
    outbox_limits: OutboxLimits | None = None,
    store_timeout: float = OPERATION_TIMEOUT,
) -> AsyncIterator[Backend]:
    """Open what the settings name, and close it at the end. Raises as `store_of`."""
    async with AsyncExitStack() as stack:
        store = await store_of(settings, clock, store_timeout)
        stack.push_async_callback(store.close)
        success = LastSuccess(clock, metrics.observer("btc_store_operation_seconds"))
        timed = TimedStore(store, success.observe)
        broker = TimedBroker(
            broker_of(settings, clock, instance), metrics.observer("btc_broker_operation_seconds")
        )
        stack.push_async_callback(broker.aclose)
        link = Link(clock)
        restored = await restore_recent(settings, timed, clock, broker, link)
        link.restore(restored.recent)
        outbox = Outbox(timed, clock, round(A_DAY / settings.interval), outbox_limits)
        stack.push_async_callback(outbox.close)
        yield Backend(timed, store, success, outbox, broker, link, restored)


async def restore_recent(
    settings: Settings, store: Store, clock: Clock, broker: Broker, link: Link
) -> Restored:
    """The recent ticks: from a shared broker where it has some, so that an instance costs the database nothing."""
    if settings.broker_url is not None:
        try:
            ticks = [tick async for tick in held(broker, after=0)][-settings.store_size :]
        except BrokerUnavailable as error:
            link.fail(str(error))
        else:
            if ticks:
                return restored_from(ticks, sse.price)
    return await restore(store, settings.store_size, clock.now(), sse.price)
