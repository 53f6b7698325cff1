"""What is counted about a source, by its outcomes."""

import asyncio

import pytest

from btc_price_tracker.errors import (
    Banned,
    ConnectionDropped,
    InvalidQuote,
    LocalError,
    RateLimited,
    SourceRefused,
    SourceUnavailable,
    SourceUnreachable,
)
from btc_price_tracker.sources.breaker import Circuit
from btc_price_tracker.sources.endpoint import SourceResponse
from btc_price_tracker.sources.meters import OUTCOMES, outcome_of
from btc_price_tracker.testing import ManualClock
from sources.test_upstream import DOWN, GOOD, THROTTLED, Venue, poll, upstream_of


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (InvalidQuote(""), "invalid"),
        (SourceRefused(""), "refused"),
        (RateLimited(""), "rate_limited"),
        (Banned(""), "banned"),
        (SourceUnavailable(""), "unavailable"),
        (SourceUnreachable(""), "unreachable"),
        (ConnectionDropped(""), "dropped"),
        (LocalError(""), "local"),
        (ZeroDivisionError(), "bug"),
    ],
)
def test_each_failure_has_an_outcome(error: Exception, outcome: str) -> None:
    assert outcome_of(error) == outcome
    assert outcome in OUTCOMES


async def test_requests_retries_and_durations_are_counted() -> None:
    clock = ManualClock()
    upstream = upstream_of(Venue(clock, DOWN, SourceUnreachable("x"), GOOD, THROTTLED))
    await poll(upstream, clock)
    await clock.advance(10)
    await poll(upstream, clock)
    meters = upstream.meters
    assert meters.outcomes == {"unavailable": 1, "unreachable": 1, "ok": 1, "rate_limited": 1}
    assert meters.retries == 2
    assert sum(meters.seconds.counts) == 4


@pytest.mark.parametrize(
    ("header", "weight"), [("40", 40), ("0", 0), ("", None), ("-1", None), ("4e1", None), ("9" * 10, None)]
)
async def test_used_weight_is_what_the_source_reports(header: str, weight: int | None) -> None:
    reports = SourceResponse(429, {"x-mbx-used-weight-1m": header}, b"")
    clock = ManualClock()
    upstream = upstream_of(Venue(clock, reports))
    await poll(upstream, clock)
    assert upstream.meters.used_weight == weight
    if weight is not None:
        upstream = upstream_of(Venue(clock, reports, DOWN))
        await poll(upstream, clock)
        assert upstream.meters.used_weight == weight  # until the next report


async def test_deadline_counts_as_timeout() -> None:
    upstream = upstream_of(Venue(ManualClock(), GOOD))
    upstream._fetch = asyncio.Event().wait  # type: ignore[assignment] # for ever
    await upstream.refresh(0.05)
    assert upstream.meters.outcomes == {"timeout": 1}


async def test_each_transition_of_the_circuit_is_counted_once() -> None:
    clock = ManualClock()
    venue = Venue(clock, SourceRefused("no"))
    upstream = upstream_of(venue)
    for _ in range(3):
        await poll(upstream, clock)
        await clock.advance(2)
    assert upstream.meters.circuits == {Circuit.OPEN: 1}
    await poll(upstream, clock)  # still open: not polled
    assert upstream.meters.circuits == {Circuit.OPEN: 1}
    venue.script = [GOOD]
    await clock.advance(60)
    await poll(upstream, clock)
    assert upstream.meters.circuits == {Circuit.OPEN: 1, Circuit.HALF_OPEN: 1, Circuit.CLOSED: 1}
