"""The requests to each source over a simulated month stays under what it documents.

The limits are written down here once more, from the documentation and not from the code. The clock jumps over rounds
in which nothing is due.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import cycle
from random import Random

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.errors import InvalidQuote, SourceUnreachable
from btc_price_tracker.price.model import Kind, Quote
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.endpoint import SourceResponse
from btc_price_tracker.sources.poller import round_time_limit
from btc_price_tracker.sources.ratelimit import RateLimiter, spacing
from btc_price_tracker.sources.upstream import MAX_WAIT, Upstream

DAY = 86_400
MONTH = 31 * DAY
COINGECKO = "https://api.coingecko.com/api/v3"
COINGECKO_PRO = "https://pro-api.coingecko.com/api/v3"

# (source, base URL, has a key): so many calls in so many seconds, at most
LIMITS: dict[tuple[str, str, bool], list[tuple[int, float]]] = {
    ("coingecko", COINGECKO, False): [(5, 60)],
    ("coingecko", COINGECKO, True): [(100, 60), (10_000, MONTH)],
    ("coingecko", COINGECKO_PRO, True): [(250, 60), (100_000, MONTH)],
    ("coinpaprika", "", False): [(20_000, MONTH)],
    ("blockchain_info", "", False): [(1, 10)],
    ("bitfinex", "", False): [(10, 60)],
    ("gemini", "", False): [(1, 1), (120, 60)],
    ("kraken", "", False): [(1, 1)],
    ("coinbase", "", False): [(10, 1)],
    ("bitstamp", "", False): [(400, 1), (8_000, 600)],
    ("okx", "", False): [(20, 2)],
    ("binance", "", False): [(3_000, 60)],
    ("binanceus", "", False): [(600, 60)],
}

GOOD = SourceResponse(200, {}, b"90000")
DOWN = SourceResponse(503, {}, b"")
TOO_OFTEN = SourceResponse(429, {}, b"")
TOO_OFTEN_FOR_A_SECOND = SourceResponse(429, {"retry-after": "1"}, b"")


def good() -> Iterator[SourceResponse | None]:
    return cycle([GOOD])


def always_429() -> Iterator[SourceResponse | None]:
    return cycle([TOO_OFTEN])


def always_429_with_a_short_retry_after() -> Iterator[SourceResponse | None]:
    return cycle([TOO_OFTEN_FOR_A_SECOND])


def down() -> Iterator[SourceResponse | None]:
    return cycle([DOWN])


def anything() -> Iterator[SourceResponse | None]:
    random = Random(7)
    while True:
        yield random.choice([GOOD, GOOD, GOOD, DOWN, TOO_OFTEN, None])


@dataclass
class JumpingClock:
    """Time passes at once."""

    time: float = 0.0

    def now(self) -> int:
        return 1_764_000_000_000 + int(self.time * 1000)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


@dataclass
class Venue:
    """Records request times and sends the next response; None is a connection reset."""

    clock: JumpingClock
    responses: Iterator[SourceResponse | None]
    requests: list[float] = field(default_factory=list)

    async def fetch(self) -> SourceResponse:
        self.requests.append(self.clock.time)
        self.clock.time += 0.05  # on the way
        if (response := next(self.responses)) is None:
            raise SourceUnreachable("connection reset")
        return response


def parse(body: bytes) -> Quote:
    if not body:
        raise InvalidQuote("the body is empty")
    return Quote(Decimal(body.decode()))


async def request_times(
    seconds: float, interval: float, gap: float, responses: Iterator[SourceResponse | None]
) -> list[float]:
    """The request times of a source while a service ran for so long."""
    clock = JumpingClock()
    venue = Venue(clock, responses)
    source = SourceDefinition("venue", Kind.EXCHANGE, "", "", parse)
    upstream = Upstream(source, venue.fetch, RateLimiter(gap, Random(1)), clock, Random(1))
    most = round_time_limit(interval)
    due = 0.0
    while due < seconds:
        clock.time = max(clock.time, due)
        await upstream.refresh(most)
        idle = upstream.state().next_try - most * MAX_WAIT - 0.001  # next_try is rounded
        due += interval * max(math.floor((clock.time + idle - due) / interval), 1)
    return venue.requests


def most_within(requests: list[float], seconds: float) -> int:
    """The most calls that any stretch of so many seconds saw."""
    most = first = 0
    for last, time in enumerate(requests):
        while time - requests[first] >= seconds - 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most


def check(requests: list[float], limits: list[tuple[int, float]]) -> None:
    assert len(requests) > 2
    for calls, seconds in limits:
        assert most_within(requests, seconds) <= calls


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep a month's log lines off the screen."""
    with capture_logs():
        yield


BEHAVIOURS = [good, always_429, always_429_with_a_short_retry_after, down, anything]
METERED = [
    (("coingecko", COINGECKO, True), good),
    (("coingecko", COINGECKO, True), down),
    (("coingecko", COINGECKO, True), anything),
    (("coinpaprika", "", False), good),
    (("coinpaprika", "", False), anything),
    (("coingecko", COINGECKO_PRO, True), good),
]


@pytest.mark.parametrize(("key", "behave"), METERED)
async def test_a_month_of_a_metered_source_stays_within_its_quota(
    key: tuple[str, str, bool], behave: Callable[[], Iterator[SourceResponse | None]]
) -> None:
    name, url, keyed = key
    check(await request_times(MONTH, 10, spacing(name, url, keyed=keyed), behave()), LIMITS[key])


@pytest.mark.parametrize("behave", [always_429, always_429_with_a_short_retry_after])
@pytest.mark.parametrize("key", LIMITS)
async def test_a_month_of_429_stays_within_every_limit(
    key: tuple[str, str, bool], behave: Callable[[], Iterator[SourceResponse | None]]
) -> None:
    name, url, keyed = key
    requests = await request_times(MONTH, 10, spacing(name, url, keyed=keyed), behave())
    check(requests, LIMITS[key])
    assert most_within(requests, DAY) <= 4 * 24 + 20  # four an hour, after the first doublings


@pytest.mark.parametrize("behave", BEHAVIOURS)
@pytest.mark.parametrize("key", LIMITS)
async def test_the_shortest_interval_stays_within_every_limit(
    key: tuple[str, str, bool], behave: Callable[[], Iterator[SourceResponse | None]]
) -> None:
    name, url, keyed = key
    check(await request_times(1800, 1, spacing(name, url, keyed=keyed), behave()), LIMITS[key])


@pytest.mark.parametrize("interval", [1, 10])
async def test_an_outage_causes_fewer_requests_than_normal_operation(interval: float) -> None:
    normal = await request_times(3600, interval, 1.0, good())
    outage = await request_times(3600, interval, 1.0, down())
    assert len(normal) == 3600 / interval
    assert len(outage) <= 9 + 3600 / 48  # three rounds with two retries, then a probe a minute, jittered
    assert most_within(outage, 60) <= 12
