"""The loops of the service outlive what their parts do."""

import asyncio
from collections.abc import Sequence

from structlog.testing import capture_logs

from btc_price_tracker import pipeline
from btc_price_tracker.broker.local import LocalBroker
from btc_price_tracker.price.model import Answer, Status, Tick, Update
from btc_price_tracker.sources.panel import Panel
from btc_price_tracker.store import Span
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.testing import ManualClock
from live import a_tick


class Buggy(MemoryStore):
    """A store that can't say what it holds while it has a bug."""

    def __init__(self) -> None:
        super().__init__(10)
        self.bug: Exception | None = KeyError("first")

    async def span(self) -> Span:
        if self.bug:
            raise self.bug
        return await super().span()


async def test_a_bug_in_the_store_keeps_old_prices_until_it_is_gone_and_is_logged_once() -> None:
    clock, store = ManualClock(), Buggy()
    await store.append([a_tick(clock.now() - 10_000), a_tick(clock.now())])
    with capture_logs() as logs:
        forgetting = asyncio.create_task(pipeline.forget(store, clock, retention=5))
        await clock.advance(150)
        bug, store.bug = store.bug, None
        await clock.advance(60)
    assert [entry["exc_info"] for entry in logs] == [bug]
    assert len(store.held()) == 1
    forgetting.cancel()


async def test_a_clock_that_is_a_year_ahead_takes_no_history() -> None:
    clock, store = ManualClock(), MemoryStore(10)
    await store.append([a_tick(clock.now() - 10_000), a_tick(clock.now() - 1000), a_tick(clock.now())])
    clock.step(365 * 86_400)
    forgetting = asyncio.create_task(pipeline.forget(store, clock, retention=5))
    await clock.advance(150)
    assert len(store.held()) == 2  # within five seconds of the newest
    forgetting.cancel()


class Ahead:
    """A policy whose last price bears a time that is still to come."""

    def __init__(self, first: int) -> None:
        self.last: Tick | None = None
        self._next = first

    def enough(self, _answers: Sequence[Answer], _now: int) -> bool:
        return True

    def decide(self, _answers: Sequence[Answer], _now: int) -> Update:
        self.last = a_tick(self._next)
        self._next += 1
        return Update(Status.OK, "3 exchanges agree.", self.last)


async def test_a_clock_behind_the_last_price_is_said_once() -> None:
    clock = ManualClock()
    policy, outbox = Ahead(clock.now() + 3_600_000), Outbox(MemoryStore(10), clock, size=10)
    panel = Panel(upstreams=[], clock=clock, seconds=1, fresh=lambda *_: True, enough=policy.enough)
    broker, rounds = LocalBroker(), pipeline.every(10, clock)
    with capture_logs() as logs:
        producing = asyncio.create_task(pipeline.produce(rounds, panel, policy, outbox, broker))
        followed = broker.follow()
        for _ in range(3):
            await anext(followed)
            await clock.advance(10)
    assert [(entry["log_level"], entry["seconds"]) for entry in logs] == [("warning", 3600)]
    producing.cancel()
