"""A term in Redis: the value of the lease key is its token."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from btc_price_tracker.broker.codec import encode
from btc_price_tracker.broker.lease import keep_lease
from btc_price_tracker.broker.options import Options
from btc_price_tracker.broker.redis import scripts
from btc_price_tracker.broker.redis.errors import lease_lost
from btc_price_tracker.broker.redis.keys import Keys
from btc_price_tracker.errors import BrokerUnavailable, LeaseLost
from btc_price_tracker.price.model import Update

STATUSES = 100  # updates without a tick that are held for followers on the way

Run = Callable[[str, list[str], list[Any]], Awaitable[Any]]  # runs a script with keys and arguments


class RedisTerm:
    """See Term."""

    def __init__(
        self, number: int, last: int, *, token: str, granted: float, run: Run, keys: Keys, options: Options
    ) -> None:
        """`granted` is when the lease was requested, by the monotonic clock."""
        self.number = number
        self.last = last
        self._token = token
        self._granted = granted
        self._run = run
        self._keys = keys
        self._options = options
        self._lease = round(options.timing.lease * 1000)  # ms

    async def publish(self, update: Update) -> None:
        """See Term."""
        body = encode(replace(update, term=self.number))
        if update.tick is None:
            keys = [self._keys.lease, self._keys.ticks, self._keys.statuses]
            outcome = await self._run(scripts.PUBLISH_STATUS, keys, [self._token, body, STATUSES])
        else:
            tick_id = update.tick.id
            oldest = max(tick_id - round(self._options.history.seconds * 1000), 0)
            arguments = [self._token, f"{tick_id}-0", body, self._options.history.ticks, oldest]
            outcome = await self._run(scripts.PUBLISH_TICK, [self._keys.lease, self._keys.ticks], arguments)
        if outcome == 0:
            raise lease_lost()
        if outcome < 0:
            raise LeaseLost("the stream holds a higher id, which this term has not published")

    async def hold(self) -> None:
        """See Term."""
        await keep_lease(self._renew, self._granted, self._options.timing, self._options.clock)

    async def resign(self) -> None:
        """See Term."""
        with suppress(BrokerUnavailable):
            await self._run(
                scripts.RESIGN, [self._keys.lease, self._keys.handover], [self._token, self._lease]
            )

    async def _renew(self) -> None:
        if not await self._run(scripts.RENEW, [self._keys.lease], [self._token, self._lease]):
            raise lease_lost()
