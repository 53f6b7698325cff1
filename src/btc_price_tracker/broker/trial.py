"""Trying a broker: whether what is sent through it comes back."""

import asyncio
import time
from contextlib import aclosing

from btc_price_tracker.broker import Broker

AFTER = 2**53  # an id above all, so that no history comes
PAUSE = 0.1  # seconds between probes: the first may be sent before the follower has connected


async def round_trip(broker: Broker) -> float:
    """Follow, probe until a probe comes back, and return the seconds that this one took.

    Raises BrokerUnavailable with what the broker said; the caller limits the time.
    """
    following = asyncio.create_task(_follow(broker))
    probing = asyncio.create_task(_probe(broker))
    try:
        await asyncio.wait((following, probing), return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()  # says why
        return await probing
    finally:
        for task in (following, probing):
            task.cancel()
        await asyncio.gather(following, probing, return_exceptions=True)


async def _follow(broker: Broker) -> None:
    async with aclosing(broker.follow(AFTER)) as updates:
        async for _ in updates:
            pass


async def _probe(broker: Broker) -> float:
    while True:
        started = time.monotonic()
        try:
            async with asyncio.timeout(1):
                await broker.probe()
        except TimeoutError:
            await asyncio.sleep(PAUSE)
        else:
            return time.monotonic() - started
