"""One source: retries, quota, breaker and last quote; on a manual clock, without a network."""

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
    """Responds from a list, repeating the last one, and records the time of each request."""

    def __init__(self, clock: ManualClock, *script: SourceResponse | SourceError) -> None:
        self.clock = clock
        self.script = list(script)
        self.requests: list[float] = []

    async def fetch(self) -> SourceResponse:
        self.requests.append(self.clock.monotonic())
        response = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(response, SourceError):
            raise response
        return response


def upstream_of(venue: Venue, *, spacing: float = 1.0) -> Upstream:
    return Upstream(SOURCE, venue.fetch, RateLimiter(spacing, Random(1)), venue.clock, Random(1))


async def poll(upstream: Upstream, clock: ManualClock, seconds: float = 5.0) -> Answer:
    """One round: poll, letting up to `seconds` pass for pauses in between."""
    polling = asyncio.ensure_future(upstream.refresh(seconds))
    for _ in range(round(seconds * 20)):
        for _ in range(8):  # turns of the event loop, for the request's task and the waiting one
            await asyncio.sleep(0)
        if polling.done():
            break
        await clock.advance(0.05)
    await polling
    return upstream.answer()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_successful_poll_answers_with_quote_and_time(clock: ManualClock) -> None:
    answer = await poll(upstream_of(Venue(clock, GOOD)), clock)
    assert answer == Answer("venue", Kind.EXCHANGE, quote=Quote(PRICE), received_at=clock.now(), spacing=1000)


async def test_a_source_is_waiting_before_its_first_poll(clock: ManualClock) -> None:
    upstream = upstream_of(Venue(clock, GOOD))
    assert upstream.answer().fault == "not polled yet"
    assert upstream.state().state is State.WAITING


async def test_the_last_quote_is_repeated_with_its_age(clock: ManualClock) -> None:
    venue = Venue(clock, GOOD)
    upstream = upstream_of(venue, spacing=60.0)
    first = await poll(upstream, clock)
    await clock.advance(30)
    assert await poll(upstream, clock) == first
    assert len(venue.requests) == 1
    state = upstream.state()
    assert (state.state, state.next_try) == (State.OK, 30)
    await clock.advance(30)
    assert (await poll(upstream, clock)).received_at == first.received_at + 60_000
    assert len(venue.requests) == 2


async def test_local_faults_affect_neither_breaker_nor_spacing(clock: ManualClock) -> None:
    fault = LocalError("this machine can't open a connection (Too many open files)")
    venue = Venue(clock, fault)
    upstream = upstream_of(venue)
    for _ in range(20):
        assert (await poll(upstream, clock)).fault == str(fault)
        await clock.advance(1)
    assert len(venue.requests) == 20  # neither a breaker nor a longer spacing came between
    venue.script = [GOOD]
    assert (await poll(upstream, clock)).quote == Quote(PRICE)


async def test_a_slightly_early_round_waits_for_the_rate_limiter(clock: ManualClock) -> None:
    venue = Venue(clock, GOOD)
    upstream = upstream_of(venue, spacing=10.0)
    await poll(upstream, clock)
    await clock.advance(9.5)
    await poll(upstream, clock)
    assert venue.requests == [0, 10]


async def test_transient_faults_are_retried_within_the_round(clock: ManualClock) -> None:
    venue = Venue(clock, DOWN, SourceUnreachable("connection reset"), GOOD)
    upstream = upstream_of(venue)
    answer = await poll(upstream, clock)
    assert (answer.fault, answer.quote) == (None, Quote(PRICE))
    assert len(venue.requests) == 3
    assert all(
        later - earlier >= 1 for earlier, later in zip(venue.requests, venue.requests[1:], strict=False)
    )
    state = upstream.state()
    assert (state.calls, state.failures) == (3, 2)


async def test_a_dropped_kept_connection_is_retried_at_once(clock: ManualClock) -> None:
    """Also in a round too short for retries; both requests are counted."""
    venue = Venue(clock, ConnectionDropped("connection reset"), GOOD)
    upstream = upstream_of(venue)
    assert (await poll(upstream, clock, seconds=0.8)).fault is None
    assert venue.requests == [0, 0]
    state = upstream.state()
    assert (state.calls, state.failures, state.next_try) == (2, 1, 1)


async def test_retries_are_bounded(clock: ManualClock) -> None:
    venue = Venue(clock, DOWN)
    assert (await poll(upstream_of(venue), clock)).fault == "HTTP 503"
    assert len(venue.requests) == 3


@pytest.mark.parametrize(
    "response",
    [
        THROTTLED,
        SourceResponse(200, {}, b"<html>"),
        SourceResponse(404, {}, b""),
        SourceResponse(451, {}, b""),
    ],
)
async def test_permanent_faults_are_not_retried(clock: ManualClock, response: SourceResponse) -> None:
    venue = Venue(clock, response)
    assert (await poll(upstream_of(venue), clock)).fault
    assert len(venue.requests) == 1


async def test_no_retry_beyond_quota_or_deadline(clock: ManualClock) -> None:
    paced, hurried = Venue(clock, DOWN), Venue(clock, DOWN)
    await poll(upstream_of(paced, spacing=60.0), clock)
    await poll(upstream_of(hurried), clock, seconds=1.0)
    assert (len(paced.requests), len(hurried.requests)) == (1, 1)


async def test_a_failure_keeps_the_last_quote(clock: ManualClock) -> None:
    upstream = upstream_of(Venue(clock, GOOD, SourceResponse(200, {}, b"<html>")))
    first = await poll(upstream, clock)
    await clock.advance(10)
    second = await poll(upstream, clock)
    assert (second.quote, second.received_at, second.fault) == (
        first.quote,
        first.received_at,
        "the body is not JSON",
    )
    assert upstream.state().state is State.ERROR


async def test_retry_after_pauses_the_source(clock: ManualClock) -> None:
    venue = Venue(clock, THROTTLED, GOOD)
    upstream = upstream_of(venue)
    await poll(upstream, clock)
    assert upstream.state().state is State.THROTTLED
    for _ in range(15):
        await clock.advance(10)
        await poll(upstream, clock)
    assert len(venue.requests) > 1
    assert venue.requests[1] >= 119
    assert upstream.state().state is State.OK


async def test_success_resets_the_pause_after_rate_limits(clock: ManualClock) -> None:
    upstream = upstream_of(Venue(clock, *[GOOD, GOOD, GOOD, SourceResponse(429, {}, b"")] * 6))
    for _ in range(24):
        await poll(upstream, clock)
        await clock.advance(10)
    assert upstream.state().calls == 24  # each pause was the first, of two seconds


async def test_a_failing_source_is_paused_then_probed_once(clock: ManualClock) -> None:
    venue = Venue(clock, DOWN)
    upstream = upstream_of(venue)
    for _ in range(3):
        await poll(upstream, clock)
        await clock.advance(1)
    requests = len(venue.requests)
    state = upstream.state()
    assert state.state is State.OPEN
    assert 0 < state.next_try <= 18
    assert (await poll(upstream, clock)).fault == "HTTP 503; circuit open"
    assert len(venue.requests) == requests
    await clock.advance(18)
    await poll(upstream, clock)
    assert len(venue.requests) == requests + 1  # a probe has no retries
    venue.script = [GOOD]
    await clock.advance(72)
    assert (await poll(upstream, clock)).fault is None
    assert upstream.state().state is State.OK


async def test_the_fault_text_is_stable_while_it_lasts(clock: ManualClock) -> None:
    upstream, faults = upstream_of(Venue(clock, DOWN)), []
    for _ in range(40):
        faults.append((await poll(upstream, clock)).fault)
        await clock.advance(5)
    assert set(faults) == {"HTTP 503", "HTTP 503; circuit open"}
    assert set(faults[5:]) == {"HTTP 503; circuit open"}


async def test_only_changes_are_logged(clock: ManualClock) -> None:
    venue = Venue(clock, GOOD, *[DOWN] * 10, GOOD)
    upstream = upstream_of(venue)
    with capture_logs() as lines:
        for _ in range(60):
            await poll(upstream, clock)
            await clock.advance(10)
    decisions = ("source request", "source not polled")
    assert [line["event"] for line in lines if line["event"] not in decisions] == [
        "source failed",
        "circuit opened",
        "source recovered",
        "circuit closed",
    ]
    assert {line["source"] for line in lines} == {"venue"}


async def test_a_failure_is_logged_with_its_http_status(clock: ManualClock) -> None:
    statuses = []
    for failure in (DOWN, THROTTLED, SourceResponse(200, {}, b"?"), SourceUnreachable("connection refused")):
        with capture_logs() as lines:
            await poll(upstream_of(Venue(clock, *[failure] * 3)), clock)
        statuses += [line["status"] for line in lines if line["event"] == "source failed"]
    assert statuses == [503, 429, 200, None]


async def test_rate_limits_are_logged_with_their_pause(clock: ManualClock) -> None:
    with capture_logs() as lines:
        await poll(upstream_of(Venue(clock, THROTTLED)), clock)
    (line,) = [line for line in lines if line["event"] == "rate limited"]
    assert (line["source"], line["log_level"]) == ("venue", "debug")
    assert line["seconds"] >= 119


async def test_a_parser_bug_is_a_fault_of_its_source_only(clock: ManualClock) -> None:
    answer = await poll(upstream_of(Venue(clock, SourceResponse(200, {}, b"bug"))), clock)
    assert answer.fault == "the response can't be read (ZeroDivisionError)"


async def test_a_hanging_source_times_out(clock: ManualClock) -> None:
    async def hang() -> SourceResponse:
        await asyncio.Event().wait()
        return GOOD

    upstream = Upstream(SOURCE, hang, RateLimiter(1.0, Random(1)), clock, Random(1))
    await upstream.refresh(0.05)
    assert upstream.answer().fault == "no complete response in time"
    assert upstream.state().failures == 1


async def test_latency_is_that_of_the_last_successful_request(clock: ManualClock) -> None:
    async def slow() -> SourceResponse:
        await clock.sleep(0.25)
        return GOOD

    upstream = Upstream(SOURCE, slow, RateLimiter(1.0, Random(1)), clock, Random(1))
    await poll(upstream, clock)
    assert upstream.state().latency == 250


@pytest.mark.parametrize("step", [-3600, 3600])
async def test_wall_clock_steps_do_not_change_the_spacing(clock: ManualClock, step: float) -> None:
    venue = Venue(clock, GOOD)
    upstream = upstream_of(venue, spacing=60.0)
    await poll(upstream, clock)
    clock.step(step)
    await clock.advance(30)
    await poll(upstream, clock)
    await clock.advance(30)
    await poll(upstream, clock)
    assert venue.requests == [0, 60]
