"""Refusals are counted each, and logged once a minute."""

from btc_price_tracker.testing import ManualClock
from btc_price_tracker.web.refusals import LOG_INTERVAL, Refusals


async def test_the_log_is_due_once_an_interval_and_per_reason() -> None:
    clock = ManualClock()
    refusals = Refusals(["one", "other"], clock.monotonic)
    assert refusals.counts == {"one": 0, "other": 0}
    assert [refusals.note("one") for _ in range(100)] == [1] + [0] * 99
    assert refusals.note("other") == 1
    await clock.advance(LOG_INTERVAL)
    assert refusals.note("one") == 100
    assert refusals.counts == {"one": 101, "other": 1}
