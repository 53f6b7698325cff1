"""A start while the aggregators refuse requests, as CoinGecko may without a key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.app import Service, compose
from btc_price_tracker.playback import Fault, Playback, Script
from btc_price_tracker.price.model import Quote, Status
from btc_price_tracker.settings import Settings
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.store.last_success import LastSuccess
from btc_price_tracker.testing import ManualClock, eventually
from btc_price_tracker.web.api.readiness import ReadinessProbe

ROUNDS = 15
AGGREGATORS = {"coingecko", "coinpaprika"}


@asynccontextmanager
async def service_with(clock: ManualClock, fault: Fault) -> AsyncIterator[Service]:
    """The service with its default sources, played back; the aggregators answer with a fault."""
    quotes = dict.fromkeys(SOURCES, Quote(Decimal(90_000)))
    async with Playback(Script(quotes), clock) as playback:
        playback.faults.update(dict.fromkeys(AGGREGATORS, fault))
        urls: dict[str, Any] = playback.urls()
        settings = Settings(store_url="memory://", **urls)
        async with compose(settings, clock, "a test") as service:
            running = [asyncio.create_task(loop()) for loop in (service.lead, *service.serve)]
            yield service
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def has_price_of(service: Service, now: int) -> bool:
    return service.hub.latest is not None and service.hub.latest.id >= now


def is_ready(service: Service, clock: ManualClock) -> bool:
    store = LastSuccess(clock, lambda *_: None)
    return ReadinessProbe(service.hub, service.outbox, store, service.link, service.canary, 10).run().ready


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_refusing_aggregators_do_not_affect_the_start(status: int) -> None:
    clock = ManualClock()
    with capture_logs() as lines:
        async with service_with(clock, Fault(status=status)) as service:
            for _ in range(ROUNDS):
                await eventually(partial(has_price_of, service, clock.now()))
                assert service.hub.status is Status.OK
                assert is_ready(service, clock)
                await clock.advance(10)
    logged = [line["source"] for line in lines if "source" in line and line["log_level"] != "debug"]
    assert sorted(logged) == sorted(AGGREGATORS)
