"""A bad day before a real Prometheus: each alert fires and clears when it should, and no other does.

Two instances, PostgreSQL, Valkey and four stand-in exchanges; Prometheus has the rules of `deploy/observability/`, in
which time passes six times as fast. By default the day has the troubles whose alerts come within five minutes. With
`DAY=full` it has all, and takes about 20 minutes:

    DAY=full .venv/bin/pytest tests/proofs/test_bad_day.py -m proof -s
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from broker import valkey
from btc_price_tracker.settings.open_files import raise_file_limit
from btc_price_tracker.store import open_store
from dashboards import DASHBOARDS
from databases import postgres
from deploy.queries import queries
from live import a_tick
from proofs import settable_clock
from proofs.crowds import ask, background
from proofs.followers import Transcript, follow
from proofs.instances import fleet
from proofs.prometheus import SPEED, Prometheus, prometheus
from proofs.scenes import PLACES, Scenes
from proofs.watch import Watch

SOURCES = ("coinbase", "kraken", "bitstamp", "gemini")
EARLIER = 6000  # prices: more than the kernel holds for a slow client
FOLLOWERS = 20  # streams that are there all day, and resume wherever they can
IS_FULL = os.environ.get("DAY") == "full"
REQUESTS = ["/prices/latest", "/sources", "/prices?limit=10"]


@asynccontextmanager
async def a_day(folder: Path) -> AsyncIterator[tuple[Scenes, Prometheus]]:
    """Everything runs, and clients come and go."""
    raise_file_limit()
    async with AsyncExitStack() as stack:
        broker, store = stack.enter_context(valkey.running()), stack.enter_context(postgres.running())
        store_url = await store.new_schema()
        first = await fill(store_url)
        urls = [broker.new_url()] * 2
        program = (str(Path(settable_clock.__file__)),)
        starting = fleet(urls, store_url, folder, sources=SOURCES, program=program, MAX_CLIENTS=str(PLACES))
        service = await stack.enter_async_context(starting)
        await service.ready()
        scraping = await stack.enter_async_context(prometheus(service.ports, folder))
        clients = [follow(service.ports, Transcript()) for _ in range(FOLLOWERS)]
        requests = [ask(each, REQUESTS) for each in service.instances]
        await stack.enter_async_context(background(*clients, *requests))
        yield Scenes(service, broker, store, Watch(scraping), first), scraping


async def fill(store_url: str) -> int:
    """Store prices of the past hours; returns the first id."""
    store = await open_store(store_url, capacity=10_000)
    try:
        first = (int(time.time()) - EARLIER - 60) * 1000
        await store.append([a_tick(first + 1000 * number) for number in range(EARLIER)])
        return first
    finally:
        await store.close()


@pytest.mark.timeout(3000 if IS_FULL else 420)
async def test_each_alert_fires_when_it_should_and_no_other(tmp_path: Path) -> None:
    async with a_day(tmp_path) as (scenes, scraping):
        following = asyncio.create_task(scenes.watch.follow())
        playing = asyncio.create_task(scenes.play(is_full=IS_FULL))
        await asyncio.wait({following, playing}, return_when=asyncio.FIRST_COMPLETED)
        following.cancel()
        if not playing.done():
            playing.cancel()
            await following
        await playing
        empty = await without_data(scraping, scenes.watch.began)
        scenes.watch.say(f"queries of dashboards without data: {empty}")
        assert empty == []


async def without_data(scraping: Prometheus, began: float) -> list[str]:
    """The queries of the dashboards that gave no number all day long."""
    interval = f"{4 * 15_000 // SPEED}ms"  # as Grafana: four scrapes
    texts = [query for dashboard in DASHBOARDS for query in queries(dashboard, interval)]
    texts = [text for text in texts if "btc_source_quota_used_weight" not in text]  # Binance alone says that
    return [text for text in texts if not await scraping.has_data(text, began, time.time())]
