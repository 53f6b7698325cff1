"""A whole instance in the test's own loop, which polls stand-in exchanges and shares a real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from btc_price_tracker.app import Service, compose
from btc_price_tracker.clock import Clock, SystemClock
from btc_price_tracker.playback import Playback, Script
from btc_price_tracker.price.model import Quote
from btc_price_tracker.settings import Settings

SOURCES = ("coinbase", "kraken", "bitstamp")


class ShiftedClock(SystemClock):
    """A clock that somebody set wrong."""

    def __init__(self, ahead: int) -> None:
        """`ahead` in ms."""
        self._ahead = ahead

    def now(self) -> int:
        return super().now() + self._ahead


@asynccontextmanager
async def exchanges() -> AsyncIterator[dict[str, Any]]:
    """The settings by which an instance polls three exchanges that agree."""
    quote = Quote(Decimal(50_000), bid=Decimal(49_999), ask=Decimal(50_001))
    async with Playback(Script(dict.fromkeys(SOURCES, quote)), SystemClock()) as playback:
        yield {f"{name}_url": playback.url(name) for name in SOURCES}


@asynccontextmanager
async def instance(
    broker_url: str, urls: dict[str, Any], clock: Clock | None = None
) -> AsyncIterator[Service]:
    """Run the parts of an instance, without its HTTP server."""
    settings = Settings(broker_url=broker_url, store_url="memory://", sources=SOURCES, interval=1, **urls)
    async with compose(settings, clock or SystemClock(), detach=False) as service:
        running = [asyncio.create_task(loop()) for loop in (service.lead, *service.serve)]
        try:
            yield service
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def next_price(service: Service) -> int:
    """The id of the next price that the instance shows."""
    before = service.hub.newest
    await until(lambda: service.hub.newest > before)
    return service.hub.newest
