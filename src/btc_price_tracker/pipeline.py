"""The whole service on one screen.

sources ──answers──▶ policy ──update──▶ store, broker ──update──▶ hub ──frame──▶ streams
(one instance polls, on a lease)                        (every instance)
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

import structlog
from msgspec.structs import replace
from structlog.contextvars import bind_contextvars, unbind_contextvars

from btc_price_tracker.broker import Broker, Term
from btc_price_tracker.broker.alone import Alone
from btc_price_tracker.broker.link import Link, TermEnd
from btc_price_tracker.clock import Clock
from btc_price_tracker.errors import BrokerUnavailable, ClockContradicted, LeaseLost
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.pipeline_log import log_behind, log_received, log_round, log_status
from btc_price_tracker.price.clock_check import ClockCheck
from btc_price_tracker.price.freshness import silence
from btc_price_tracker.price.meters import RoundMeters
from btc_price_tracker.price.model import Policy, Stages, Status, Tick, Update
from btc_price_tracker.sources.poller import Poller
from btc_price_tracker.telemetry.tracing import NO_TRACER, Attributes, SpanKind, Tracer

BEHIND = 60_000  # ms by which the clock may be behind the newest price before that is logged
RETRY = 1.0  # seconds between attempts to reach a broker that fails, on average
STANDING_BACK = 10.0  # seconds, on average, that an instance with a wrong clock leaves the lease to others
RESIGNATION = 2.0  # seconds that giving up the lease may take

PROBE = 2.0  # seconds between probes

Publish = Callable[[Update], Awaitable[None]]
# Stores a tick; never raises for the store's sake, but returns why it is only queued.
Keep = Callable[[Tick], Awaitable[str | None]]

_TERM_ENDS: dict[type[Exception], TermEnd] = {
    LeaseLost: TermEnd.LEASE_LOST,
    BrokerUnavailable: TermEnd.BROKER_UNAVAILABLE,
    ClockContradicted: TermEnd.CLOCK_CONTRADICTED,
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rounds:
    """What an instance needs to make an update each interval."""

    interval: float  # seconds
    poller: Poller
    check: ClockCheck
    instance: str  # its name
    tracer: Tracer = NO_TRACER
    meters: RoundMeters = field(default_factory=RoundMeters)

    async def updates(self, policy: Policy, *, resigns: bool = False) -> AsyncGenerator[Update, None]:
        """Poll and conclude, at once and then each interval.

        With `resigns`, raises ClockContradicted after an update that says that the clock is wrong: another instance
        may have a better one.
        """
        clock, is_behind = self.poller.clock, False
        async for _ in every(self.interval, clock):
            began = clock.monotonic()
            with self.tracer.span("tick") as span:  # not over the yield: what follows names it as its parent
                update, contradiction = await self._round(policy)
                update = replace(update, trace=span.traceparent)
                span.set(_attributes(update))
            self.meters.record(update, clock.monotonic() - began)
            if update.tick is not None:
                behind_by = update.tick.id - update.stages.concluded
                was_behind, is_behind = is_behind, behind_by > BEHIND
                if is_behind and not was_behind:
                    log_behind(behind_by)
            log_round(update)
            yield update
            if contradiction and resigns:
                raise ClockContradicted(contradiction)

    async def _round(self, policy: Policy) -> tuple[Update, str | None]:
        """Poll and conclude; returns also why the clock of this machine is wrong, if it is."""
        clock = self.poller.clock
        polled = clock.now()
        unbind_contextvars("tick_id")
        bind_contextvars(round_id=polled)
        with self.tracer.span("poll"):
            answers = await self.poller.poll()
        now = clock.now()
        with self.tracer.span("consensus"):
            contradiction = self.check.review(answers)
            update = Update(Status.STALE, contradiction) if contradiction else policy.decide(answers, now)
        update = replace(
            update,
            sources=tuple(self.poller.states()),
            silence=silence(answers, now),
            stages=Stages(polled, now, clock.now()),
            leader=self.instance,
        )
        return update, contradiction


async def produce(
    updates: AsyncGenerator[Update, None],
    publish: Publish,
    keep: Keep,
    *,
    durable_first: bool,
    tracer: Tracer = NO_TRACER,
) -> None:
    """Keep and publish every update, for one term.

    In one process a tick is durable first: no client ever holds an id that a crash forgets. With a shared broker it is
    published first, since only the broker knows whether this instance still leads: what is stored was published.
    """

    async def store(update: Update) -> None:
        if update.tick is None:
            return
        with tracer.span("store", SpanKind.CLIENT, parent=update.trace) as span:
            fault = await keep(update.tick)
            if fault is not None:
                span.fail("StoreError", fault)

    async with aclosing(updates):
        async for update in updates:
            if durable_first:
                await store(update)
            with tracer.span("publish", SpanKind.PRODUCER, parent=update.trace):
                await publish(update)
            if not durable_first:
                await store(update)


def _attributes(update: Update) -> Attributes:
    """What the span of a round says about its result."""
    attributes: dict[str, str | int] = {"btc.status": str(update.status), "btc.reason": update.reason}
    if update.tick is not None:
        attributes |= {"btc.tick.id": update.tick.id, "btc.sources": update.tick.sources}
    return attributes


async def deliver(broker: Broker, hub: Hub, link: Link, alone: Alone) -> None:
    """Pass every update on to the open streams: on every instance."""
    while True:
        try:
            async with aclosing(broker.follow(after=link.delivered)) as updates:
                async for update in updates:
                    log_received(update)
                    link.recover()
                    link.carried(update.stages.published)
                    if update.tick is not None:
                        # Others have published other prices meanwhile, or what the broker no longer holds.
                        if alone.take() or 0 < link.delivered < update.previous:
                            hub.rejoin(link.delivered, update.previous)
                        link.received(update.tick)
                        link.delivered = max(link.delivered, update.tick.id)
                    show(update, hub)
        except BrokerUnavailable as error:
            link.fail(str(error))
            await link.pause(RETRY)


def show(update: Update, hub: Hub) -> None:
    """Give an update to the open streams of this instance."""
    if update.status is not hub.status or (update.tick is None and update.reason != hub.reason):
        log_status(update, has_price=hub.latest is not None or update.tick is not None)
    hub.publish(update)  # encodes once, writes to all, never awaits


async def watch(broker: Broker, link: Link, clock: Clock) -> None:
    """Send probes through the broker and back: on every instance."""
    while True:
        try:
            await broker.probe()
        except BrokerUnavailable as error:
            link.fail(str(error))
        else:
            link.recover()
        await clock.sleep(PROBE)


async def poll_alone(
    rounds: Rounds,
    new_policy: Callable[[], Policy],
    alone: Alone,
    hub: Hub,
    link: Link,
    polling: asyncio.Lock,
) -> None:
    """While the broker fails, say so; after an interval, poll for the clients of this instance until it works."""
    while True:
        await link.failed()
        show(
            replace(hub.update, status=Status.STALE, reason=f"The broker fails: {link.fault}.", tick=None),
            hub,
        )
        await link.pause(2 * rounds.interval)
        if link.fault is None:
            continue
        async with polling:
            updates = rounds.updates(new_policy())
            await first_of(produce(updates, alone.publish, _discard, durable_first=False), link.works())


async def _discard(_: Tick) -> None:
    """Keep nothing: what is published alone is history only once the broker has it."""


async def lead(broker: Broker, run_term: Callable[[Term], Coroutine[None, None, None]], link: Link) -> None:
    """Lead whenever the broker says so, and run each term until it ends."""
    while True:
        try:
            term = await broker.campaign()
        except BrokerUnavailable as error:
            link.fail(str(error))
            await link.pause(RETRY)
            continue
        link.recover()  # it has carried a lease; polling alone must give way to the term
        log.info("term began", term=term.number)
        link.terms_begun += 1
        pause = RETRY
        try:
            await first_of(term.hold(), run_term(term))
        except (LeaseLost, BrokerUnavailable, ClockContradicted) as error:
            log.warning("term ended", term=term.number, reason=str(error))
            link.terms_ended[_TERM_ENDS[type(error)]] += 1
            pause = STANDING_BACK if isinstance(error, ClockContradicted) else RETRY
        finally:
            with suppress(BrokerUnavailable, TimeoutError):
                await asyncio.wait_for(term.resign(), RESIGNATION)
        await link.pause(pause)


async def first_of(*coroutines: Coroutine[None, None, None]) -> None:
    """Run coroutines until one ends, and cancel the others. Raises what that one raises."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def every(interval: float, clock: Clock) -> AsyncIterator[None]:
    """A round at once, then one each `interval` seconds of the monotonic clock; those that were missed are left out."""
    due = clock.monotonic()
    while True:
        yield
        due = max(due + interval, clock.monotonic())
        await clock.sleep(due - clock.monotonic())
