"""Keeping a lease, whichever broker grants it."""

import asyncio
from collections.abc import Awaitable, Callable

from btc_price_tracker.broker.options import Timing
from btc_price_tracker.clock import Clock
from btc_price_tracker.errors import BrokerUnavailable, LeaseLost


async def keep_lease(
    renew: Callable[[], Awaitable[None]], granted: float, timing: Timing, clock: Clock
) -> None:
    """Renew until cancelled a lease that was requested at `granted` by the monotonic clock.

    Raises LeaseLost as soon as it may have expired, and passes on what `renew` raises except BrokerUnavailable: it is
    tried again, sooner, as long as the lease lasts.
    """
    pause = timing.renewal
    reason = "this process was suspended, or took too long to begin"
    while (left := granted + timing.lease - clock.monotonic()) > 0:
        await clock.sleep(min(pause, left))
        requested = clock.monotonic()
        try:
            async with asyncio.timeout(granted + timing.lease - requested):
                await renew()
        except (BrokerUnavailable, TimeoutError) as error:
            pause, reason = timing.renewal / 4, str(error) or "no answer in time"
        else:
            granted, pause = requested, timing.renewal
    raise LeaseLost(f"the lease could not be renewed for {timing.lease:g} s: {reason}")
