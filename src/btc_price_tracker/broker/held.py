"""Reading what a broker holds, up to now."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from btc_price_tracker.broker import Broker
from btc_price_tracker.errors import BrokerUnavailable
from btc_price_tracker.price.model import Tick

QUIET = 0.5  # seconds without an update after which the history is taken to have ended
LIMIT = 10.0  # seconds for all of it; live updates may come without a pause


async def held(broker: Broker, after: int, until: int | None = None) -> AsyncIterator[Tick]:
    """The ticks with after < id (≤ until) that the broker holds, oldest first.

    Raises BrokerUnavailable. Without `until` it ends when no more come, since a broker does not say where its history
    ends and new updates begin.
    """
    deadline = asyncio.get_running_loop().time() + LIMIT
    async with aclosing(broker.follow(after)) as updates:
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(min(left, QUIET if until is None else left)):
                    update = await anext(updates)
            except TimeoutError:
                break
            if update.tick is not None:
                yield update.tick
                if until is not None and update.tick.id >= until:
                    return
    if until is not None:
        raise BrokerUnavailable(f"the broker did not send all ticks up to {until} within {LIMIT:g} s")
