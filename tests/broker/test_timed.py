"""Durations of the operations of a broker."""

import pytest

from broker.updates import without_tick
from btc_price_tracker.broker.local import LocalBroker
from btc_price_tracker.broker.timed import TimedBroker
from btc_price_tracker.errors import LeaseLost


async def test_durations_and_failures_are_reported() -> None:
    observed: list[tuple[str, float, bool]] = []
    times = iter([1.0, 1.25, 2.0, 4.0])

    def observe(operation: str, seconds: float, succeeded: bool) -> None:  # noqa: FBT001 - one callback for all
        observed.append((operation, seconds, succeeded))

    term = await TimedBroker(LocalBroker(), observe, lambda: next(times)).campaign()
    await term.publish(without_tick("no price"))
    await term.resign()
    with pytest.raises(LeaseLost):
        await term.publish(without_tick("no price"))
    assert observed == [("publish", 0.25, True), ("publish", 2.0, False)]
