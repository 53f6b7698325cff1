"""What every broker does, whichever it is; those for several instances against real servers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from broker import kafka_server as kafka_server_process
from broker import nats_server as nats_server_process
from broker import valkey
from broker.service import PATIENT, QUICK, BrokerServer, Service
from broker.updates import START, ids, sequence, with_tick, without_tick
from btc_price_tracker.broker import Broker, Term
from btc_price_tracker.broker.local import LocalBroker
from btc_price_tracker.broker.options import Timing
from btc_price_tracker.broker.timed import TimedBroker
from btc_price_tracker.errors import BrokerUnavailable, LeaseLost
from btc_price_tracker.price.model import Update

KINDS = {
    "redis": "valkey_server",
    "nats": "nats_server",
    "kafka": "kafka_server",
}  # and the fixtures with their servers


# Kafka takes most of the time.
PARAMS = [pytest.param(kind, marks=[pytest.mark.proof] if kind == "kafka" else []) for kind in KINDS]


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[BrokerServer]:
    with valkey.running() as server:
        yield server


@pytest.fixture(scope="session")
def nats_server() -> Iterator[BrokerServer]:
    with nats_server_process.running() as server:
        yield server


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[BrokerServer]:
    with kafka_server_process.running() as server:
        yield server


@pytest.fixture(params=PARAMS)
def server(request: pytest.FixtureRequest) -> BrokerServer:
    running: BrokerServer = request.getfixturevalue(KINDS[request.param])
    return running


@pytest.fixture
async def service(server: BrokerServer) -> AsyncIterator[Service]:
    service = Service(server)
    yield service
    await service.aclose()


def timed() -> Broker:
    return TimedBroker(LocalBroker(), lambda *_: None)


@pytest.fixture(params=["local", "timed", *PARAMS])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    makers: dict[str, Callable[[], Broker]] = {"local": LocalBroker, "timed": timed}
    if request.param in makers:
        broker = makers[request.param]()
    else:
        broker = Service(request.getfixturevalue(KINDS[request.param])).open()
    yield broker
    await broker.aclose()


async def take(broker: Broker, count: int, after: int = 0) -> list[Update]:
    """The first updates of a new follower."""
    async with asyncio.timeout(60), aclosing(broker.follow(after)) as followed:
        return [await anext(followed) for _ in range(count)] if count else []


@asynccontextmanager
async def following(
    broker: Broker, after: int = 0, *, restarting: bool = False
) -> AsyncIterator[list[Update]]:
    """A list that a follower in the background fills; it is connected when the block begins."""
    received: list[Update] = []

    async def follow() -> None:
        async with aclosing(broker.follow(max(ids(received), default=after))) as followed:
            async for update in followed:
                received.append(update)  # noqa: PERF401 - it is read on the way

    async def keep_following() -> None:
        while True:
            with suppress(BrokerUnavailable):
                await follow()

    task = asyncio.create_task(keep_following() if restarting else follow())
    try:
        probe = asyncio.create_task(broker.probe())
        await asyncio.wait({task, probe}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            probe.cancel()
            task.result()
        await probe
        yield received
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def publish_all(term: Term, updates: list[Update]) -> None:
    for update in updates:
        await term.publish(update)


def of(term: Term, updates: list[Update]) -> list[Update]:
    return [replace(update, term=term.number) for update in updates]


# One instance


async def test_follower_receives_every_update_in_order(broker: Broker) -> None:
    term = await broker.campaign()
    sent = [update for tick in sequence(50) for update in (tick, without_tick(f"after {tick.tick}"))]
    async with following(broker) as received:
        await publish_all(term, sent)
        await until(lambda: len(received) >= len(sent))
    assert received == of(term, sent)


async def test_terms_are_numbered_upwards(broker: Broker) -> None:
    first = await broker.campaign()
    await first.resign()
    second = await broker.campaign()
    assert second.number > first.number > 0


async def test_publishing_after_resigning_is_refused(broker: Broker) -> None:
    term = await broker.campaign()
    await term.resign()
    with pytest.raises(LeaseLost):
        await term.publish(with_tick(START))


async def test_lease_is_held_until_cancelled(broker: Broker) -> None:
    term = await broker.campaign()
    holding = asyncio.create_task(term.hold())
    await term.publish(with_tick(START))
    assert not holding.done()
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding


async def test_probe_returns_once_the_follower_has_it(broker: Broker) -> None:
    async with following(broker):
        await asyncio.gather(*(broker.probe() for _ in range(3)))


async def test_closed_broker_says_so(broker: Broker) -> None:
    async with following(broker):
        await broker.aclose()
    with pytest.raises(BrokerUnavailable, match="closed"):
        await broker.campaign()
    with pytest.raises(BrokerUnavailable, match="closed"):
        await take(broker, 1)


@pytest.mark.parametrize("make", [LocalBroker, timed])
async def test_probe_without_follower_fails_in_time(make: Callable[[], Broker]) -> None:
    broker = (
        LocalBroker(Timing(probe=0.05))
        if make is LocalBroker
        else TimedBroker(LocalBroker(Timing(probe=0.05)), lambda *_: None)
    )
    with pytest.raises(BrokerUnavailable, match="did not come back"):
        await broker.probe()


# History


async def test_new_follower_gets_the_history_first(service: Service) -> None:
    term = await service.open().campaign()
    sent = sequence(500)
    await publish_all(term, sent)
    assert await take(service.open("b"), 500) == of(term, sent)


async def test_follower_resumes_after_any_id(service: Service) -> None:
    term, follower = await service.open().campaign(), service.open("b")
    sent = sequence(30)
    await publish_all(term, sent)
    for number, update in enumerate(of(term, sent)[:-1]):
        assert update.tick is not None
        assert await take(follower, 29 - number, after=update.tick.id) == of(term, sent)[number + 1 :]
        assert await take(follower, 30 - number, after=update.tick.id - 5) == of(term, sent)[number:]


async def test_history_meets_live_without_gap_or_repeat(service: Service) -> None:
    """Followers that start at any moment of a burst get each later id once."""
    term, sent = await service.open().campaign(), sequence(1000)
    last = START + 10 * 999

    async def follow(name: str, after: int) -> list[int]:
        received: list[int] = []
        async with aclosing(service.open(name).follow(after)) as followed:
            async for update in followed:
                received += ids([update])
                if received[-1:] == [last]:
                    return received
        raise AssertionError

    tasks: list[tuple[int, asyncio.Task[list[int]]]] = []
    for number, update in enumerate(sent):
        await term.publish(update)
        if number % 80 == 0:
            after = START + 10 * (number // 2)
            tasks.append((after, asyncio.create_task(follow(f"f{number}", after))))
    async with asyncio.timeout(60):
        for after, task in tasks:
            assert await task == [tick_id for tick_id in ids(sent) if tick_id > after]


async def test_follower_starts_at_the_oldest_held_tick(service: Service) -> None:
    if service.url.startswith("kafka"):
        pytest.skip("Kafka drops whole segments of its log, and looks for old ones every few minutes")
    broker = service.open(ticks=100)
    term, sent = await broker.campaign(), sequence(1000)
    await publish_all(term, sent)
    async with following(service.open("b")) as received:
        await until(lambda: ids(received)[-1:] == ids(sent)[-1:])
    held = ids(received)
    assert held == ids(sent)[-len(held) :]
    assert 100 <= len(held) < 900


async def test_newest_update_without_tick_reaches_a_new_follower(service: Service) -> None:
    term = await service.open().campaign()
    for update in (with_tick(START), without_tick("old"), without_tick("newest")):
        await term.publish(update)
    received = await take(service.open("b"), 2)
    assert received == of(term, [with_tick(START), without_tick("newest")])
    assert await take(service.open("c"), 1, after=START) == of(term, [without_tick("newest")])


async def test_update_without_tick_is_forgotten_after_the_next_tick(service: Service) -> None:
    term = await service.open().campaign()
    for update in (without_tick("old"), with_tick(START), with_tick(START + 1)):
        await term.publish(update)
    async with following(service.open("b")) as received:
        await until(lambda: len(received) >= 2)
    assert received == of(term, [with_tick(START), with_tick(START + 1)])


async def test_garbage_is_logged_and_skipped(service: Service) -> None:
    broker = service.open()
    term = await broker.campaign()
    await term.publish(with_tick(START))
    await service.server.write_garbage(service.url, START + 10)
    with capture_logs() as logs:
        async with following(service.open("b")) as received:
            await until(lambda: len(received) >= 1)
            await term.publish(with_tick(START + 20))
            await term.publish(without_tick("no price"))
            await until(lambda: len(received) >= 3)
    assert received == of(term, [with_tick(START), with_tick(START + 20), without_tick("no price")])
    assert {log["event"] for log in logs} == {"broker message ignored"}
    assert all(log["reason"] and log["id"] for log in logs)


async def test_stream_goes_on_after_it_was_deleted(service: Service) -> None:
    broker = service.open(timing=QUICK)
    old = await broker.campaign()
    async with following(service.open("b"), restarting=True) as received:
        await old.publish(with_tick(START))
        await until(lambda: len(received) >= 1)
        await service.server.forget(service.url)
        new = await broker.campaign()
        await new.publish(with_tick(START + 1))
        await until(lambda: len(received) >= 2)
    assert ids(received) == [START, START + 1]


# Leading


async def test_only_one_instance_leads(service: Service) -> None:
    leader = await service.open("a", QUICK).campaign()
    holding = asyncio.create_task(leader.hold())
    rival = asyncio.create_task(service.open("b", QUICK).campaign())
    done, _ = await asyncio.wait({rival, holding}, timeout=3 * QUICK.lease)
    assert not done
    holding.cancel()
    rival.cancel()
    await asyncio.gather(holding, rival, return_exceptions=True)


async def test_dead_leader_is_replaced(service: Service) -> None:
    first = await service.open("a", QUICK).campaign()
    await first.publish(with_tick(START))
    started = time.monotonic()
    second = await service.open("b", QUICK).campaign()
    assert time.monotonic() - started < QUICK.lease + 4
    assert second.number > first.number
    assert second.last == START


async def test_candidate_follows_at_once_where_the_leader_resigns(service: Service) -> None:
    leader = await service.open("a", PATIENT).campaign()
    candidate = asyncio.create_task(service.open("b", PATIENT).campaign())
    await asyncio.sleep(0.5)  # it waits by now; if not, the test shows less
    assert not candidate.done()
    await leader.resign()
    async with asyncio.timeout(10):  # the lease is of 60 s
        term = await candidate
    assert term.number > leader.number


async def test_one_of_many_candidates_leads(service: Service) -> None:
    leader = await service.open("leader", PATIENT).campaign()
    candidates = [asyncio.create_task(service.open(f"c{n}", PATIENT).campaign()) for n in range(8)]
    await leader.resign()
    async with asyncio.timeout(20):
        done, waiting = await asyncio.wait(candidates, return_when=asyncio.FIRST_COMPLETED)
    more, waiting = await asyncio.wait(waiting, timeout=1)
    assert (len(done), len(more)) == (1, 0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_former_leader_can_not_publish(service: Service) -> None:
    """A leader that was paused for longer than its lease, and thawed."""
    thawed = await service.open("a", QUICK).campaign()
    await thawed.publish(with_tick(START))
    leader = await service.open("b", QUICK).campaign()
    await leader.publish(with_tick(START + 10))
    for update in (with_tick(START + 5), with_tick(START + 20), without_tick("no price")):
        with pytest.raises(LeaseLost):
            await thawed.publish(update)
    with pytest.raises(LeaseLost):
        await thawed.hold()
    await thawed.resign()  # of a term that is over: without effect
    await leader.publish(with_tick(START + 30))
    assert ids(await take(service.open("c"), 3)) == [START, START + 10, START + 30]


async def test_publishing_an_id_again_neither_fails_nor_repeats(service: Service) -> None:
    term = await service.open().campaign()
    for update in (with_tick(START), with_tick(START), with_tick(START + 1), with_tick(START + 1)):
        await term.publish(update)
    async with following(service.open("b")) as received:
        await until(lambda: len(received) >= 2)
    assert ids(received) == [START, START + 1]


async def test_new_term_starts_behind_the_newest_id(service: Service) -> None:
    first = await service.open().campaign()
    assert first.last == 0
    await publish_all(first, sequence(3))
    await first.resign()
    assert (await service.open("b").campaign()).last == START + 20


# Failures


async def test_probe_needs_a_follower(service: Service) -> None:
    with pytest.raises(BrokerUnavailable, match="did not come back"):
        await service.open(timing=Timing(probe=0.5)).probe()


async def test_probes_return_while_another_reader_comes_and_goes(service: Service) -> None:
    broker = service.open()
    await publish_all(await broker.campaign(), sequence(1))
    async with following(broker):
        await take(broker, 1)
        await broker.probe()


async def test_silent_connection_is_given_up(service: Service) -> None:
    broker = service.open(timing=Timing(silence=1.5, probe=1, request=2))
    term = await broker.campaign()
    async with aclosing(broker.follow(0)) as followed:
        await term.publish(with_tick(START))
        await anext(followed)
        service.server.freeze()
        try:
            started = time.monotonic()
            with pytest.raises(BrokerUnavailable):
                await anext(followed)
            assert time.monotonic() - started < 8
            with pytest.raises(BrokerUnavailable):
                await broker.probe()
            with pytest.raises(BrokerUnavailable):
                await broker.campaign()
        finally:
            service.server.thaw()


async def test_idle_connection_is_not_given_up(service: Service) -> None:
    silence = 2  # seconds: more than a busy machine pauses
    broker = service.open(timing=Timing(silence=silence))
    async with following(broker) as received:
        await asyncio.sleep(2.5 * silence)
        term = await broker.campaign()
        await term.publish(with_tick(START))
        await until(lambda: received)


async def test_lease_is_lost_where_it_can_not_be_renewed(service: Service) -> None:
    term = await service.open(timing=Timing(lease=2, renewal=0.5)).campaign()
    service.server.freeze()
    try:
        started = time.monotonic()
        with pytest.raises(LeaseLost, match="could not be renewed for 2 s"):
            await term.hold()
        assert time.monotonic() - started < 4
    finally:
        service.server.thaw()


async def test_closing_leaves_nothing_behind(service: Service) -> None:
    before, tasks = service.server.connections(service.url), asyncio.all_tasks()
    broker = service.open()
    term = await broker.campaign()
    holding = asyncio.create_task(term.hold())
    async with following(broker):
        await term.publish(with_tick(START))
        assert service.server.connections(service.url) > before
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
    await broker.aclose()
    await broker.aclose()
    await until(lambda: service.server.connections(service.url) == before)
    assert asyncio.all_tasks() == tasks


async def test_killed_server_is_unavailable_and_its_return_is_used(server: BrokerServer) -> None:
    service = Service(server)
    broker = service.open(timing=Timing(request=2))
    term = await broker.campaign()
    async with aclosing(broker.follow(0)) as followed:
        await term.publish(with_tick(START))
        await anext(followed)
        server.kill()
        try:
            with pytest.raises(BrokerUnavailable):
                await anext(followed)
            for attempt in (lambda: term.publish(with_tick(START + 1)), broker.campaign, broker.probe):
                with pytest.raises(BrokerUnavailable):
                    await attempt()
            await term.resign()
        finally:
            server.start()
    second = service.open("b", QUICK)
    new = await second.campaign()
    async with following(broker, after=START) as received:
        await new.publish(with_tick(START + 2))
        await until(lambda: received)
    await service.aclose()
