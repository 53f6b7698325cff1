"""The whole service on one screen.

sources ──answers──▶ policy ──update──▶ store, broker ──update──▶ hub ──frame──▶ streams
"""

from collections.abc import AsyncIterator, Callable

import structlog
from msgspec.structs import replace

from btc_price_tracker.broker import Broker
from btc_price_tracker.clock import Clock
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.price.clock_check import ClockCheck
from btc_price_tracker.price.freshness import silence
from btc_price_tracker.price.model import Policy, Stages, Status, Update
from btc_price_tracker.sources.poller import Poller
from btc_price_tracker.store import Store
from btc_price_tracker.store.failure import failure
from btc_price_tracker.store.outbox import Outbox

MANY = 1000  # prices dropped at once that the log tells of
BEHIND = 60_000  # ms by which the clock may be behind the newest price without a word

log = structlog.get_logger(__name__)


async def produce(
    rounds: AsyncIterator[None],
    poller: Poller,
    check: ClockCheck,
    policy: Policy,
    outbox: Outbox,
    broker: Broker,
) -> None:
    """Ask, conclude, keep, publish: on the one instance that leads, for one term; the policy is of that term."""
    is_behind = False
    async for _ in rounds:
        polled = poller.clock.now()
        answers = await poller.poll()
        now = poller.clock.now()
        contradiction = check.review(answers)
        update = Update(Status.STALE, contradiction) if contradiction else policy.decide(answers, now)
        if update.tick is not None:
            was_behind, is_behind = is_behind, update.tick.id > now + BEHIND
            if is_behind and not was_behind:
                _log_behind(update.tick.id - now)
            await outbox.keep(update.tick)  # durable first: no client ever holds an id that a crash forgets
        await broker.publish(
            replace(
                update,
                sources=tuple(poller.states()),
                silence=silence(answers, now),
                stages=Stages(polled, now, poller.clock.now()),
            )
        )


async def deliver(broker: Broker, hub: Hub) -> None:
    """Pass every update on to the open streams: on every instance."""
    async for update in broker.follow(after=hub.head):
        if update.status is not hub.status or (update.tick is None and update.reason != hub.reason):
            _log_status(update, has_price=hub.latest is not None or update.tick is not None)
        hub.publish(update)  # encodes once, writes to all, never awaits


def _log_behind(milliseconds: int) -> None:
    log.warning(
        "the clock is behind the last price: until it has caught up, prices bear that one's time",
        seconds=milliseconds // 1000,
    )


def _log_status(update: Update, *, has_price: bool) -> None:
    if update.status is Status.STALE:
        log.warning("price status", status=update.status, reason=update.reason)
    else:
        log.info("price status", status=update.status, reason=update.reason)
    if not has_price:
        log.warning("no price to show; to see one without internet, run the demo: make demo")


async def forget(store: Store, clock: Clock, retention: float, confirmed: Callable[[], int | None]) -> None:
    """Drop prices older than the newest by more than `retention` seconds, once a minute.

    `confirmed` is the time in ms as the sources confirm it. Neither our wall clock nor the newest price can make
    history old beyond it; without it, no more of history goes than time has passed here.
    """
    started, oldest = clock.monotonic(), 0
    logged = None  # the reason that is in the log already
    while True:
        try:
            span = await store.span()
            oldest = oldest or span.first
            passed = int((clock.monotonic() - started) * 1000)
            time = confirmed()
            limit = oldest + passed if time is None else time - int(retention * 1000)
            dropped = await store.prune(min(limit, span.last - int(retention * 1000)))
            if dropped >= MANY:
                log.info("old prices dropped", count=dropped, retention_s=retention)
            logged = None
        except Exception as error:
            why = failure(error)
            if why.reason != logged:
                log.warning("old prices stay for now", reason=why.reason, exc_info=why.bug)
            logged = why.reason
        await clock.sleep(60)


async def every(interval: float, clock: Clock) -> AsyncIterator[None]:
    """A round at once, then one each `interval` seconds of the monotonic clock; those that were missed are left out."""
    due = clock.monotonic()
    while True:
        yield
        due = max(due + interval, clock.monotonic())
        await clock.sleep(due - clock.monotonic())
