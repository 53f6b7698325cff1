"""What every broker does, whichever it is."""

import asyncio
from collections.abc import Callable

import pytest

from btc_price_tracker.broker import Broker
from btc_price_tracker.broker.local import LocalBroker
from btc_price_tracker.broker.timed import TimedBroker
from btc_price_tracker.price.model import Status, Update


class ClosedBroker(LocalBroker):
    """A broker that publishes nothing."""

    async def publish(self, update: Update) -> None:
        raise ConnectionError(update.reason)


def timed() -> Broker:
    return TimedBroker(LocalBroker(), lambda *_: None)


@pytest.fixture(params=[LocalBroker, timed])
def broker(request: pytest.FixtureRequest) -> Broker:
    make: Callable[[], Broker] = request.param
    return make()


async def test_follower_receives_every_update_in_order(broker: Broker) -> None:
    sent = [Update(Status.STALE, f"update {number}") for number in range(100)]

    async def publish() -> None:
        for update in sent:
            await broker.publish(update)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publish())
        followed = broker.follow(after=0)
        assert [await anext(followed) for _ in sent] == sent


async def test_timed_broker_reports_durations_and_failures() -> None:
    observed: list[tuple[str, float, bool]] = []
    times = iter([1.0, 1.25, 2.0, 4.0])
    update = Update(Status.STALE, "no price")

    def observe(operation: str, seconds: float, succeeded: bool) -> None:  # noqa: FBT001 - one callback for all
        observed.append((operation, seconds, succeeded))

    await TimedBroker(LocalBroker(), observe, lambda: next(times)).publish(update)
    with pytest.raises(ConnectionError):
        await TimedBroker(ClosedBroker(), observe, lambda: next(times)).publish(update)
    assert observed == [("publish", 0.25, True), ("publish", 2.0, False)]
