"""One source asked politely: retries, quota, breaker and memory; on a clock of our own, without a network."""

import asyncio
from decimal import Decimal
from random import Random

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.errors import (
    ConnectionDropped,
    InvalidQuote,
    LocalError,
    SourceError,
    SourceUnreachable,
)
from btc_price_tracker.price.model import Answer, Kind, Quote, State
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.endpoint import SourceResponse
from btc_price_tracker.sources.ratelimit import RateLimiter
from btc_price_tracker.sources.upstream import Upstream
from btc_price_tracker.testing import ManualClock

PRICE = Decimal("90000.01")
GOOD = SourceResponse(200, {}, b"90000.01")
DOWN = SourceResponse(503, {}, b"")
THROTTLED = SourceResponse(429, {"retry-after": "119"}, b"")


def parse(body: bytes) -> Quote:
    if body == b"bug":
        raise ZeroDivisionError
    if not body[:1].isdigit():
        raise InvalidQuote("the body is not JSON")
    return Quote(Decimal(body.decode()))


SOURCE = SourceDefinition("venue", Kind.EXCHANGE, "http://venue", "/ticker", parse)


class Venue:
    """Answers from a list, the last one for ever, and notes when it was asked."""

    def __init__(self, clock: ManualClock, *script: SourceResponse | SourceError) -> None:
        self.clock = clock
        self.script = list(script)
        self.asked: list[float] = []

    async def fetch(self) -> SourceResponse:
        self.asked.append(self.clock.monotonic())
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(said, SourceError):
            raise said
        return said


def upstream_of(venue: Venue, *, spacing: float = 1.0) -> Upstream:
    return Upstream(SOURCE, venue.fetch, RateLimiter(spacing, Random(1)), venue.clock, Random(1))


def fresh(answer: Answer, now: int) -> bool:
    return answer.quote is not None and now - answer.received_at <= 30_000


async def ask(upstream: Upstream, clock: ManualClock, seconds: float = 5.0) -> Answer:
    """One round: ask, letting up to `seconds` pass for pauses in between."""
    asking = asyncio.ensure_future(upstream.ask(seconds))
    for _ in range(round(seconds * 20)):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if asking.done():
            break
        await clock.advance(0.05)
    return await asking


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_good_answer_is_the_quote_and_when_it_was_heard(clock: ManualClock) -> None:
    answer = await ask(upstream_of(Venue(clock, GOOD)), clock)
    assert answer == Answer("venue", Kind.EXCHANGE, quote=Quote(PRICE), received_at=clock.now(), spacing=1000)


async def test_before_the_first_round_a_source_is_waiting(clock: ManualClock) -> None:
    upstream = upstream_of(Venue(clock, GOOD))
    assert upstream.answer().fault == "not asked yet"
    assert upstream.state(fresh).state is State.WAITING


async def test_between_two_calls_the_last_quote_is_offered_as_old_as_it_is(clock: ManualClock) -> None:
    venue = Venue(clock, GOOD)
    upstream = upstream_of(venue, spacing=60.0)
    first = await ask(upstream, clock)
    await clock.advance(30)
    assert await ask(upstream, clock) == first
    assert len(venue.asked) == 1
    state = upstream.state(fresh)
    assert (state.state, state.next_try) == (State.OK, 30)
    await clock.advance(30)
    assert (await ask(upstream, clock)).received_at == first.received_at + 60_000
    assert len(venue.asked) == 2


async def test_local_faults_affect_neither_breaker_nor_spacing(clock: ManualClock) -> None:
    fault = LocalError("this machine can't open a connection (Too many open files)")
    venue = Venue(clock, fault)
    upstream = upstream_of(venue)
    for _ in range(20):
        assert (await ask(upstream, clock)).fault == str(fault)
        await clock.advance(1)
    assert len(venue.asked) == 20  # neither a breaker nor a longer spacing came between
    venue.script = [GOOD]
    assert (await ask(upstream, clock)).quote == Quote(PRICE)


async def test_a_round_a_moment_too_early_waits_rather_than_skip(clock: ManualClock) -> None:
    venue = Venue(clock, GOOD)
    upstream = upstream_of(venue, spacing=10.0)
    await ask(upstream, clock)
    await clock.advance(9.5)
    await ask(upstream, clock)
    assert venue.asked == [0, 10]


async def test_a_fault_that_may_pass_is_tried_again_within_the_round(clock: ManualClock) -> None:
    venue = Venue(clock, DOWN, SourceUnreachable("the connection broke"), GOOD)
    upstream = upstream_of(venue)
    answer = await ask(upstream, clock)
    assert (answer.fault, answer.quote) == (None, Quote(PRICE))
    assert len(venue.asked) == 3
    assert all(later - earlier >= 1 for earlier, later in zip(venue.asked, venue.asked[1:], strict=False))
    state = upstream.state(fresh)
    assert (state.calls, state.failures) == (3, 2)


async def test_a_kept_connection_that_has_ended_is_no_fault_of_the_source(clock: ManualClock) -> None:
    """It is asked again at once, in a round too short for retries and as the breaker's one probe, and is counted."""
    venue = Venue(clock, ConnectionDropped("the connection broke"), GOOD)
    upstream = upstream_of(venue)
    assert (await ask(upstream, clock, seconds=0.8)).fault is None
    assert venue.asked == [0, 0]
    state = upstream.state(fresh)
    assert (state.calls, state.failures, state.next_try) == (2, 1, 1)


async def test_retries_are_bounded(clock: ManualClock) -> None:
    venue = Venue(clock, DOWN)
    assert (await ask(upstream_of(venue), clock)).fault == "HTTP 503"
    assert len(venue.asked) == 3


@pytest.mark.parametrize(
    "reply",
    [
        THROTTLED,
        SourceResponse(200, {}, b"<html>"),
        SourceResponse(404, {}, b""),
        SourceResponse(451, {}, b""),
    ],
)
async def test_what_will_not_pass_by_itself_is_not_tried_again(
    clock: ManualClock, reply: SourceResponse
) -> None:
    venue = Venue(clock, reply)
    assert (await ask(upstream_of(venue), clock)).fault
    assert len(venue.asked) == 1


async def test_no_retry_where_the_quota_or_the_deadline_leaves_no_time(clock: ManualClock) -> None:
    paced, hurried = Venue(clock, DOWN), Venue(clock, DOWN)
    await ask(upstream_of(paced, spacing=60.0), clock)
    await ask(upstream_of(hurried), clock, seconds=1.0)
    assert (len(paced.asked), len(hurried.asked)) == (1, 1)


async def test_a_failure_keeps_the_last_quote_and_says_why(clock: ManualClock) -> None:
    upstream = upstream_of(Venue(clock, GOOD, SourceResponse(200, {}, b"<html>")))
    first = await ask(upstream, clock)
    await clock.advance(10)
    second = await ask(upstream, clock)
    assert (second.quote, second.received_at, second.fault) == (
        first.quote,
        first.received_at,
        "the body is not JSON",
    )
    assert upstream.state(fresh).state is State.ERROR


async def test_an_old_quote_shows_as_stale(clock: ManualClock) -> None:
    upstream = upstream_of(Venue(clock, GOOD), spacing=300.0)
    await ask(upstream, clock)
    await clock.advance(31)
    assert upstream.state(fresh).state is State.STALE


async def test_retry_after_takes_the_source_out_for_so_long(clock: ManualClock) -> None:
    venue = Venue(clock, THROTTLED, GOOD)
    upstream = upstream_of(venue)
    await ask(upstream, clock)
    assert upstream.state(fresh).state is State.THROTTLED
    for _ in range(15):
        await clock.advance(10)
        await ask(upstream, clock)
    assert len(venue.asked) > 1
    assert venue.asked[1] >= 119
    assert upstream.state(fresh).state is State.OK


async def test_an_answer_makes_good_for_earlier_refusals(clock: ManualClock) -> None:
    upstream = upstream_of(Venue(clock, *[GOOD, GOOD, GOOD, SourceResponse(429, {}, b"")] * 6))
    for _ in range(24):
        await ask(upstream, clock)
        await clock.advance(10)
    assert upstream.state(fresh).calls == 24  # each pause was the first, of two seconds


async def test_a_source_that_keeps_failing_is_left_alone_then_probed_once(clock: ManualClock) -> None:
    venue = Venue(clock, DOWN)
    upstream = upstream_of(venue)
    for _ in range(3):
        await ask(upstream, clock)
        await clock.advance(1)
    asked = len(venue.asked)
    state = upstream.state(fresh)
    assert state.state is State.OPEN
    assert 0 < state.next_try <= 18
    assert (await ask(upstream, clock)).fault == "HTTP 503; circuit open"
    assert len(venue.asked) == asked
    await clock.advance(18)
    await ask(upstream, clock)
    assert len(venue.asked) == asked + 1  # a probe has no retries
    venue.script = [GOOD]
    await clock.advance(72)
    assert (await ask(upstream, clock)).fault is None
    assert upstream.state(fresh).state is State.OK


async def test_the_fault_reads_the_same_in_every_round_while_it_lasts(clock: ManualClock) -> None:
    upstream, faults = upstream_of(Venue(clock, DOWN)), []
    for _ in range(40):
        faults.append((await ask(upstream, clock)).fault)
        await clock.advance(5)
    assert set(faults) == {"HTTP 503", "HTTP 503; circuit open"}
    assert set(faults[5:]) == {"HTTP 503; circuit open"}


async def test_only_changes_are_logged(clock: ManualClock) -> None:
    venue = Venue(clock, GOOD, *[DOWN] * 10, GOOD)
    upstream = upstream_of(venue)
    with capture_logs() as lines:
        for _ in range(60):
            await ask(upstream, clock)
            await clock.advance(10)
    assert [line["event"] for line in lines] == ["source failing", "circuit opened", "source recovered"]
    assert {line["source"] for line in lines} == {"venue"}


async def test_a_bug_in_a_parser_is_a_fault_of_that_source_only(clock: ManualClock) -> None:
    answer = await ask(upstream_of(Venue(clock, SourceResponse(200, {}, b"bug"))), clock)
    assert answer.fault == "the answer can't be read (ZeroDivisionError)"


async def test_a_source_that_hangs_is_given_up_at_the_deadline(clock: ManualClock) -> None:
    async def hang() -> SourceResponse:
        await asyncio.Event().wait()
        return GOOD

    upstream = Upstream(SOURCE, hang, RateLimiter(1.0, Random(1)), clock, Random(1))
    assert (await upstream.ask(0.05)).fault == "no whole answer in time"
    assert upstream.state(fresh).failures == 1


async def test_latency_is_that_of_the_last_good_answer(clock: ManualClock) -> None:
    async def slow() -> SourceResponse:
        await clock.sleep(0.25)
        return GOOD

    upstream = Upstream(SOURCE, slow, RateLimiter(1.0, Random(1)), clock, Random(1))
    await ask(upstream, clock)
    assert upstream.state(fresh).latency == 250


@pytest.mark.parametrize("step", [-3600, 3600])
async def test_a_wall_clock_that_steps_changes_no_pace(clock: ManualClock, step: float) -> None:
    venue = Venue(clock, GOOD)
    upstream = upstream_of(venue, spacing=60.0)
    await ask(upstream, clock)
    clock.step(step)
    await clock.advance(30)
    await ask(upstream, clock)
    await clock.advance(30)
    await ask(upstream, clock)
    assert venue.asked == [0, 60]
