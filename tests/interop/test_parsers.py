"""The same stream, read by our own test client and by three that are not ours: httpx2, npm's eventsource, a browser."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from btc_price_tracker.testing import ManualClock, eventually
from interop.clients import HERE, TYPES, Browser, Httpx2, Program, parse, program
from interop.script import (
    HEARTBEAT,
    RETRY,
    RING,
    end_streams,
    read_to_the_end,
    send_everything,
    until_all_have,
)
from live import Client, Live, live

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[tuple[Httpx2, Program, Browser]]:
    """All three, reading."""
    httpx = Httpx2()
    reader = asyncio.create_task(httpx.read(url))
    try:
        async with (
            program("node", str(HERE / "eventsource.mjs"), url, *TYPES) as npm,
            async_playwright() as pw,
        ):
            chromium = await pw.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = await chromium.new_page()
            # of the same origin, and without the Content-Security-Policy of an answer of the API
            await page.route("**/blank", lambda route: route.fulfill(content_type="text/html", body=""))
            await page.goto(url.partition("/prices/stream")[0] + "/blank")
            browser = Browser(page)
            await browser.read(url)
            yield httpx, npm, browser
            await chromium.close()
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


@pytest.fixture(scope="session", autouse=True)
def node_modules() -> None:
    """What package-lock.json says, by hash."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, and one of the clients comes from there")
    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not installed: there is no {CHROMIUM}")
    installed = HERE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (HERE / "package-lock.json").stat().st_mtime:
        subprocess.run(["npm", "ci", "--silent"], cwd=HERE, check=True, timeout=90)


@pytest.mark.parametrize("detach", [True, False], ids=["detached", "fallback"])
async def test_every_client_reads_the_same_and_obeys_retry(detach: bool) -> None:  # noqa: FBT001
    clock = ManualClock()
    async with live(clock, detach=detach, store_size=RING, heartbeat=HEARTBEAT) as server:
        ids = [await server.publish() for _ in range(2 * RING)]
        path = f"/prices/stream?last_event_id={ids[0]}"
        async with await Client.get(server.port, path) as ours, reading(server.url + path) as theirs:
            httpx, npm, browser = theirs
            await eventually(lambda: len(server.hub) == 4, seconds=60)
            await send_everything(server, clock)
            await server.publish()
            end_streams(server)
            await read_to_the_end(ours)
            expected = parse(ours.raw)
            assert {event.type for event in expected} == set(TYPES)
            await until_all_have(theirs, expected)
            assert httpx.retries[1:] == [RETRY]
            assert 2000 <= httpx.retries[0] <= 5000

            late = 0
            while not await two_are_back_as_soon_as_told(server):
                late += 1
                assert late < 5, "they ignore `retry:`"  # a busy machine delays them, but not each time
                await eventually(lambda: len(server.hub) == 2, seconds=60)
                end_streams(server)
            *_, end = expected
            last = max(event.id for event in expected)
            async with await Client.get(server.port, path, last_event_id=last) as again:
                await server.publish()
                await again.prices(1)
                status, *rest = parse(again.raw)
                await until_all_have((npm, browser), [*expected, *late * [status, end], status, *rest])


async def two_are_back_as_soon_as_told(server: Live) -> bool:
    """Two of the four reconnect."""
    try:
        await eventually(lambda: len(server.hub) == 2, seconds=1.5)
    except TimeoutError:
        return False
    return True
