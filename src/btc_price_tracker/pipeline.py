"""The whole service on one screen.

sources ──answers──▶ policy ──update──▶ store, broker ──update──▶ hub ──frame──▶ streams
"""

from collections.abc import AsyncIterator

import structlog

from btc_price_tracker.broker import Broker
from btc_price_tracker.clock import Clock
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.price.model import Status, Update
from btc_price_tracker.price.policy import Policy
from btc_price_tracker.sources.panel import Panel
from btc_price_tracker.store import Store
from btc_price_tracker.store.failure import failure
from btc_price_tracker.store.outbox import Outbox

BEHIND = 60_000  # ms by which the clock may be behind the newest price without a word

log = structlog.get_logger(__name__)


async def produce(
    rounds: AsyncIterator[None], panel: Panel, policy: Policy, outbox: Outbox, broker: Broker
) -> None:
    """Ask, conclude, keep, publish: on the one instance that asks."""
    is_behind = False
    async for _ in rounds:
        answers = await panel.ask()
        now = panel.clock.now()
        update = policy.decide(answers, now)
        if update.tick is not None:
            was_behind, is_behind = is_behind, update.tick.id > now + BEHIND
            if is_behind and not was_behind:
                _log_behind(update.tick.id - now)
            await outbox.keep(update.tick)  # durable first: no client ever holds an id that a crash forgets
        await broker.publish(update)


async def deliver(broker: Broker, hub: Hub) -> None:
    """Pass every update on to the open streams: on every instance."""
    async for update in broker.follow():
        if (update.status, update.reason) != (hub.status, hub.reason):
            _log_status(update)
        hub.publish(update)  # encodes once, writes to all, never awaits


def _log_behind(milliseconds: int) -> None:
    log.warning(
        "the clock is behind the last price: until it has caught up, prices bear that one's time",
        seconds=milliseconds // 1000,
    )


def _log_status(update: Update) -> None:
    if update.status is Status.STALE:
        log.warning("price status", status=update.status, reason=update.reason)
    else:
        log.info("price status", status=update.status, reason=update.reason)
    if update.tick is None:
        log.warning("no price to show; to see one without internet, run the demo: make demo")


async def forget(store: Store, clock: Clock, retention: float) -> None:
    """Drop prices older than the newest by more than `retention` seconds, once a minute.

    By the newest and not by the clock: one that is a year ahead at a start would take all of history at once.
    """
    told = None  # the reason that is in the log already
    while True:
        try:
            newest = (await store.span()).last
            await store.prune(newest - int(retention * 1000))
            told = None
        except Exception as error:
            why = failure(error)
            if why.reason != told:
                log.warning("old prices stay for now", reason=why.reason, exc_info=why.bug)
            told = why.reason
        await clock.sleep(60)


async def every(interval: float, clock: Clock) -> AsyncIterator[None]:
    """A round at once, then one each `interval` seconds of the monotonic clock; those that were missed are left out."""
    due = clock.monotonic()
    while True:
        yield
        due = max(due + interval, clock.monotonic())
        await clock.sleep(due - clock.monotonic())
