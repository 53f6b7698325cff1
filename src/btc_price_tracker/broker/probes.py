"""The probes of an instance: sent through the broker, awaited from its follower."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from btc_price_tracker.errors import BrokerUnavailable


class Probes:
    """Matches probes that came back with those that are awaited."""

    def __init__(self, timeout: float) -> None:
        """Wait so many seconds for each."""
        self._timeout = timeout
        self._pending: dict[str, asyncio.Event] = {}

    async def travel(self, send: Callable[[str], Awaitable[object]]) -> None:
        """Send a new probe and wait until it is received. Raises BrokerUnavailable if that takes too long."""
        probe, arrived = secrets.token_hex(8), asyncio.Event()
        self._pending[probe] = arrived
        try:
            async with asyncio.timeout(self._timeout):
                await send(probe)
                await arrived.wait()
        except TimeoutError:
            raise BrokerUnavailable(f"a probe did not come back within {self._timeout:g} s") from None
        finally:
            del self._pending[probe]

    def received(self, probe: str) -> None:
        """Note that the follower has received a probe; one that isn't awaited is ignored."""
        if probe in self._pending:
            self._pending[probe].set()
