"""Keeping a lease, on a clock that the test moves."""

import asyncio

import pytest

from btc_price_tracker.broker.lease import keep_lease
from btc_price_tracker.broker.options import Timing
from btc_price_tracker.errors import BrokerUnavailable, LeaseLost
from btc_price_tracker.testing import ManualClock

TIMING = Timing(lease=6, renewal=2)


class Lease:
    """Renewed or not, as the test wishes."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.renewals: list[float] = []
        self.error: Exception | None = None

    async def renew(self) -> None:
        self.renewals.append(self.clock.monotonic())
        if self.error is not None:
            raise self.error

    def keep(self) -> asyncio.Task[None]:
        return asyncio.create_task(keep_lease(self.renew, self.clock.monotonic(), TIMING, self.clock))


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_lease_is_renewed_on_time() -> None:
    lease = Lease()
    task = lease.keep()
    await lease.clock.advance(20)
    assert lease.renewals == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]
    assert not task.done()
    await ended(task)


async def test_failed_renewal_is_tried_again_sooner() -> None:
    lease = Lease()
    task = lease.keep()
    lease.error = BrokerUnavailable("broken")
    await lease.clock.advance(3)
    lease.error = None
    await lease.clock.advance(5)
    assert lease.renewals == [2, 2.5, 3, 3.5, 5.5, 7.5]
    await ended(task)


async def test_lease_is_lost_when_it_has_expired() -> None:
    lease = Lease()
    task = lease.keep()
    await lease.clock.advance(2)
    lease.error = BrokerUnavailable("broken")
    await lease.clock.advance(5.9)
    assert not task.done()
    await lease.clock.advance(0.1)
    with pytest.raises(LeaseLost, match="could not be renewed for 6 s: broken"):
        await task


async def test_lease_of_another_is_lost_at_once() -> None:
    lease = Lease()
    task = lease.keep()
    lease.error = LeaseLost("another instance has it")
    await lease.clock.advance(2)
    with pytest.raises(LeaseLost, match="another"):
        await task


async def test_suspended_process_has_lost_its_lease() -> None:
    lease = Lease()
    requested = lease.clock.monotonic()
    await lease.clock.advance(10)
    with pytest.raises(LeaseLost, match="suspended"):
        await keep_lease(lease.renew, requested, TIMING, lease.clock)
    assert lease.renewals == []
