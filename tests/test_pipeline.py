"""The loops of the service outlive what their parts do."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from btc_price_tracker import pipeline
from btc_price_tracker.broker import Term
from btc_price_tracker.broker.link import Link
from btc_price_tracker.broker.local import LocalBroker
from btc_price_tracker.price.clock_check import ClockCheck
from btc_price_tracker.price.meters import RoundMeters
from btc_price_tracker.price.model import (
    Answer,
    AssessedQuote,
    Kind,
    Quote,
    QuoteState,
    Stages,
    Status,
    Tick,
    Update,
)
from btc_price_tracker.sources.poller import Poller
from btc_price_tracker.store import Span, retention
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
        forgetting = asyncio.create_task(retention.forget(store, clock, 5, clock.now))
        await clock.advance(150)
        bug, store.bug = store.bug, None
        await clock.advance(60)
    assert [entry["exc_info"] for entry in logs] == [bug]
    assert len(store.held()) == 1
    forgetting.cancel()


YEAR = 365 * 86_400_000
DAY = 86_400  # s


@asynccontextmanager
async def retaining(
    store: MemoryStore, clock: ManualClock, seconds: float, confirmed: Callable[[], int | None]
) -> AsyncIterator[None]:
    pruning = asyncio.create_task(retention.forget(store, clock, seconds, confirmed))
    await clock.sleeping()
    yield
    pruning.cancel()


async def test_retention_goes_by_the_confirmed_time() -> None:
    clock, store = ManualClock(), MemoryStore(10)
    await store.append([a_tick(clock.now() - age * 1000) for age in (10, 4, 0)])
    async with retaining(store, clock, 5, confirmed=clock.now):
        assert len(store.held()) == 2


async def test_retention_keeps_what_is_recent_by_the_newest_price() -> None:
    clock, store = ManualClock(), MemoryStore(10)
    await store.append([a_tick(clock.now() - age * 1000) for age in (10, 4, 0)])
    async with retaining(store, clock, 5, confirmed=lambda: clock.now() + YEAR):
        assert len(store.held()) == 2


async def test_a_price_of_the_future_takes_no_history() -> None:
    clock, store = ManualClock(), MemoryStore(10)
    await store.append([a_tick(clock.now() - 10_000), a_tick(clock.now() - 1000), a_tick(clock.now() + YEAR)])
    async with retaining(store, clock, 5, confirmed=clock.now):
        assert len(store.held()) == 2


async def test_without_a_confirmed_time_no_more_history_goes_than_time_has_passed() -> None:
    clock, store = ManualClock(), MemoryStore(1000)
    newest = clock.now() + YEAR
    await store.append([a_tick(clock.now() - age * 60_000) for age in range(100, -1, -1)] + [a_tick(newest)])
    async with retaining(store, clock, 5, confirmed=lambda: None):
        assert len(store.held()) == 102
        await clock.advance(600)
        assert len(store.held()) == 92


async def test_pruning_many_prices_is_logged() -> None:
    clock, store = ManualClock(), MemoryStore(10_000)
    await store.append([a_tick(clock.now() - 2 * DAY * 1000 + number) for number in range(2000)])
    await store.append([a_tick(clock.now())])
    with capture_logs() as logs:
        async with retaining(store, clock, DAY, confirmed=clock.now):
            pass
    assert logs == [{"event": "old prices dropped", "count": 2000, "retention_s": DAY, "log_level": "info"}]


async def test_nothing_is_dated_by_a_clock_that_the_sources_contradict() -> None:
    clock = ManualClock()
    wrong = Answer(
        "kraken", Kind.EXCHANGE, quote=Quote(Decimal(1)), received_at=clock.now(), clock_offset=YEAR
    )
    async with produced(clock, [wrong]) as updates:
        update = await anext(updates)
    assert (update.status, update.tick) == (Status.STALE, None)
    assert update.reason.startswith(
        "the clock of this machine is 365 days ahead of the sources' clocks: set it"
    )


class Ahead:
    """A policy whose last price bears a time that is still to come."""

    def __init__(self, first: int) -> None:
        self.last: Tick | None = None
        self._next = first

    def decide(self, _answers: Sequence[Answer], _now: int) -> Update:
        self.last = a_tick(self._next)
        self._next += 1
        return Update(Status.OK, "3 exchanges agree.", self.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted(Poller):
    """A poller whose sources always answer the same."""

    answers: Sequence[Answer]

    async def poll(self) -> list[Answer]:
        return list(self.answers)


@asynccontextmanager
async def produced(
    clock: ManualClock, answers: Sequence[Answer] = ()
) -> AsyncIterator[AsyncIterator[Update]]:
    """What is published, round by round, with a policy whose last price is an hour ahead."""
    policy, outbox = Ahead(clock.now() + 3_600_000), Outbox(MemoryStore(10), clock, size=10)
    broker = LocalBroker()
    poller = Scripted(
        sources=[], clock=clock, time_limit=1, fresh=lambda *_: True, enough=lambda *_: True, answers=answers
    )
    rounds, term = pipeline.Rounds(10, poller, ClockCheck(clock), "a"), await broker.campaign()
    updates = rounds.updates(policy)
    producing = asyncio.create_task(pipeline.produce(updates, term.publish, outbox.keep, durable_first=True))
    yield broker.follow(after=0)
    producing.cancel()


async def test_a_clock_behind_the_last_price_is_said_once() -> None:
    clock = ManualClock()
    with capture_logs() as logs:
        async with produced(clock) as updates:
            for _ in range(3):
                await anext(updates)
                await clock.advance(10)
    assert [(entry["log_level"], entry["seconds"]) for entry in logs if "seconds" in entry] == [
        ("warning", 3600)
    ]


async def test_lines_of_a_round_bear_its_id_and_those_after_the_decision_the_price_s() -> None:
    clock, seen = ManualClock(), list[dict[str, Any]]()
    began = clock.now()

    async def keep(_: Tick) -> None:
        seen.append(get_contextvars())

    async def publish(_: Update) -> None:
        seen.append(get_contextvars())

    class Observed(Scripted):
        async def poll(self) -> list[Answer]:
            seen.append(get_contextvars())
            seen.append(await asyncio.create_task(self.request()))
            return []

        async def request(self) -> dict[str, Any]:
            return get_contextvars()

    poller = Observed(
        sources=[], clock=clock, time_limit=1, fresh=lambda *_: True, enough=lambda *_: True, answers=()
    )
    rounds = pipeline.Rounds(10, poller, ClockCheck(clock), "a")
    updates = rounds.updates(Ahead(clock.now() + 1))
    producing = asyncio.create_task(pipeline.produce(updates, publish, keep, durable_first=True))
    await clock.sleeping()
    await clock.advance(10)
    producing.cancel()
    assert seen == [
        {"round_id": began},
        {"round_id": began},
        {"round_id": began, "tick_id": began + 1},
        {"round_id": began, "tick_id": began + 1},
        {"round_id": began + 10_000},
        {"round_id": began + 10_000},
        {"round_id": began + 10_000, "tick_id": began + 2},
        {"round_id": began + 10_000, "tick_id": began + 2},
    ]
    assert rounds.meters.rounds == {Status.OK: 2}


def test_rounds_are_counted_by_status_quote_and_delay() -> None:
    meters = RoundMeters()
    quotes = (
        AssessedQuote("kraken", Kind.EXCHANGE, time=1000, used=True, state=QuoteState.USED),
        AssessedQuote("gemini", Kind.EXCHANGE, time=1000, state=QuoteState.EXCLUDED),
        AssessedQuote("coinbase", Kind.EXCHANGE, used=True, state=QuoteState.USED),
        AssessedQuote("bitstamp", Kind.EXCHANGE),
    )
    meters.record(Update(Status.DEGRADED, "", quotes=quotes, stages=Stages(published=3500)), 0.25)
    assert meters.rounds == {Status.DEGRADED: 1}
    assert meters.seconds.total == 0.25
    assert meters.quotes == {
        ("kraken", QuoteState.USED): 1,
        ("gemini", QuoteState.EXCLUDED): 1,
        ("coinbase", QuoteState.USED): 1,
    }
    assert {source: delay.total for source, delay in meters.quote_delays.items()} == {"kraken": 2.5}


async def test_outages_and_deliveries_of_the_broker_are_counted() -> None:
    clock = ManualClock()
    link = Link(clock)
    link.fail("it is down")
    link.fail("it is still down")
    link.recover()
    link.fail("again")
    assert link.outages == 2
    link.carried(clock.now() - 1500)
    await clock.advance(3)
    link.carried(0)  # unknown when it was published
    assert (link.deliveries.total, sum(link.deliveries.counts)) == (1.5, 1)
    await clock.advance(3)
    assert link.silence == 3.0


async def test_polling_alone_gives_way_to_a_term() -> None:
    clock, polling = ManualClock(), asyncio.Lock()
    link, led = Link(clock), asyncio.Event()

    async def run_term(_: Term) -> None:
        async with polling:
            led.set()
            await asyncio.Event().wait()

    async def poll_alone() -> None:
        async with polling:
            await link.works()

    link.fail("a probe did not come back")
    alone = asyncio.create_task(poll_alone())
    await asyncio.sleep(0)
    leading = asyncio.create_task(pipeline.lead(LocalBroker(), run_term, link))
    async with asyncio.timeout(5):
        await led.wait()
    for task in (alone, leading):
        task.cancel()
