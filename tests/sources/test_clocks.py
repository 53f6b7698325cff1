"""How old a response is by its headers, and which clock is wrong; sources that share their clocks."""

from decimal import Decimal
from random import Random

import pytest

from btc_price_tracker.errors import SourceError, SourceUnreachable
from btc_price_tracker.price.freshness import age
from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.clocks import Clocks
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.endpoint import SourceResponse
from btc_price_tracker.sources.ratelimit import RateLimiter
from btc_price_tracker.sources.upstream import Upstream
from btc_price_tracker.testing import ManualClock

STARTED = "Mon, 24 Nov 2025 16:00:00 GMT"  # the time at which a ManualClock starts
HOUR = 3_600_000  # ms


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def parse(body: bytes) -> Quote:
    """A price, and the source's own time where there is one."""
    price, _, time = body.decode().partition(" at ")
    return Quote(Decimal(price), time=int(time) if time else None)


async def polled(clock: ManualClock, *responses: SourceResponse | SourceError) -> list[Upstream]:
    """Sources that have each sent one of these responses."""
    clocks = Clocks(clock)
    upstreams = []
    for number, response in enumerate(responses):
        source = SourceDefinition(f"venue{number}", Kind.EXCHANGE, "http://venue", "", parse)

        async def fetch(response: SourceResponse | SourceError = response) -> SourceResponse:
            if isinstance(response, SourceError):
                raise response
            return response

        limiter = RateLimiter(1.0, Random(1))
        upstreams.append(Upstream(source, fetch, limiter, clock, Random(1), clocks=clocks))
        await upstreams[-1].refresh(0.1)
    return upstreams


def good(date: str = "", age: str = "", body: bytes = b"90000") -> SourceResponse:
    return SourceResponse(200, {name: text for name, text in (("date", date), ("age", age)) if text}, body)


def at(time: str) -> str:
    return f"Mon, 24 Nov 2025 {time} GMT"


def age_of(upstream: Upstream, clock: ManualClock) -> int:
    """Seconds that the quote is old."""
    answer = upstream.answer()
    assert answer.quote
    return age(answer.quote.time, answer.received_at, clock.now()) // 1000


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("37", 37),
        ("600, 0", 600),
        ("0, 600", 600),
        ("0,nonsense,,37", 37),
        ("99999999999999999999999", 2**31),
        ("9" * 200, 2**31),
        ("0", 0),
        ("", 0),
        ("-3", 0),
        ("old", 0),
        ("1.5", 0),
        ("٣", 0),
    ],
)
async def test_age_header_dates_a_cached_response(clock: ManualClock, header: str, seconds: int) -> None:
    (upstream,) = await polled(clock, good(age=header))
    answer = upstream.answer()
    assert answer.quote
    assert answer.quote.time == (max(answer.received_at - seconds * 1000, 0) if seconds else None)


async def test_the_sources_own_time_wins_over_age(clock: ManualClock) -> None:
    (upstream,) = await polled(clock, good(at("15:00:00"), "37", b"90000 at 1763999999000"))
    answer = upstream.answer()
    assert answer.quote
    assert answer.quote.time == 1_763_999_999_000


@pytest.mark.parametrize(
    ("date", "age", "seconds"),
    [
        (at("15:59:59"), "", 0),
        (at("15:59:30"), "", 0),  # clocks differ
        (at("15:59:29"), "", 31),
        (at("15:00:00"), "", 3600),
        (at("15:00:00"), "37", 3600),  # more caches than those that count
        (at("15:00:00"), "3600", 3600),
        (at("16:00:40"), "", 0),
        ("soon", "", 0),
        ("", "", 0),
    ],
)
async def test_a_date_far_behind_counts_as_age(clock: ManualClock, date: str, age: str, seconds: int) -> None:
    upstreams = await polled(clock, good(STARTED), good(date, age), good(STARTED))
    assert [age_of(upstream, clock) for upstream in upstreams] == [0, seconds, 0]


@pytest.mark.parametrize("ours", [-86_400, -3600, 3600, 86_400])
async def test_our_wrong_clock_makes_no_response_old(clock: ManualClock, ours: int) -> None:
    clock.step(ours)
    upstreams = await polled(clock, good(STARTED), good(at("15:00:00")), good(STARTED))
    assert [age_of(upstream, clock) for upstream in upstreams] == [0, 3600, 0]


@pytest.mark.parametrize("date", [at("15:00:00"), at("17:00:00")])
async def test_one_wrong_clock_makes_no_other_response_old(clock: ManualClock, date: str) -> None:
    upstreams = await polled(clock, good(date), good(STARTED))
    assert age_of(upstreams[1], clock) == 0


async def test_a_single_source_is_compared_with_our_clock(clock: ManualClock) -> None:
    (upstream,) = await polled(clock, good(at("15:00:00")))
    assert age_of(upstream, clock) == 3600


async def test_a_step_of_our_clock_makes_no_response_old(
    clock: ManualClock,
) -> None:
    upstreams = await polled(clock, good(STARTED), good(STARTED), good(STARTED))
    await clock.advance(60)
    clock.step(3600)
    times = [upstream.answer().quote for upstream in upstreams]
    assert times == [Quote(Decimal(90000))] * 3


@pytest.mark.parametrize(
    ("headers", "offset"),
    [
        ({}, None),
        ({"date": STARTED}, 0),
        ({"date": at("15:00:00")}, HOUR),
        ({"date": at("16:00:40")}, -40_000),
        ({"date": at("15:59:23"), "age": "37"}, 0),
        ({"date": at("15:59:23"), "age": "soon"}, 37_000),
        ({"date": STARTED, "age": "90000"}, None),  # too long ago
        ({"date": "soon"}, None),
        ({"date": "Thu, 01 Jan 1970 00:00:00 GMT"}, None),
        ({"date": "Mon, 24 Nov 2025 " + "0" * 100 + "16:00:00 GMT"}, None),
    ],
)
@pytest.mark.parametrize(("status", "body"), [(200, b"90000"), (200, b"bug"), (429, b""), (503, b"")])
async def test_clock_offset_comes_from_the_date_of_every_response(
    clock: ManualClock, status: int, body: bytes, headers: dict[str, str], offset: int | None
) -> None:
    (upstream,) = await polled(clock, SourceResponse(status, headers, body))
    assert upstream.answer().clock_offset == offset


async def test_clock_offset_follows_our_clock_between_responses(clock: ManualClock) -> None:
    upstreams = await polled(clock, good(STARTED), SourceUnreachable("gone"))
    await clock.advance(600)
    assert [upstream.answer().clock_offset for upstream in upstreams] == [0, None]
    clock.step(400 * 86400)
    assert upstreams[0].answer().clock_offset == 400 * 24 * HOUR
