"""The same stream, read by our own test client and by three that are not ours: httpx2, npm's eventsource, a browser."""

import asyncio
import contextlib
import json
import shutil
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Self

import httpx2
import pytest
from playwright.async_api import Page, async_playwright

from btc_price_tracker.fanout import sse
from btc_price_tracker.price.model import Status
from btc_price_tracker.testing import ManualClock, eventually
from live import Client, Live, live

HERE = Path(__file__).parent
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
TYPES = ("message", "status", "gap", "heartbeat")
HEARTBEAT = 15
RING = 5
RETRY = 150  # ms: far from what the streams begin with, and from every client's own default


class Read(NamedTuple):
    """An event as a client tells of it.

    The id counts for prices alone: npm's eventsource says none where there is none, the others repeat the last.
    """

    type: str
    data: str
    id: str

    @classmethod
    def of(cls, kind: str, data: str, last_event_id: str) -> Self:
        return cls(kind, data, last_event_id if kind == "message" else "")


def parse(body: bytes) -> list[Read]:
    """The events of a body, as the standard has them."""
    events = []
    for block in body.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        if "data" in fields:
            events.append(Read(fields.get("event", "message"), fields["data"], fields.get("id", "")))
    return events


class Httpx2:
    """httpx2's own SSE reader, which doesn't reconnect; `retries` are those it was told."""

    def __init__(self) -> None:
        self.retries: list[int] = []
        self._events: list[Read] = []

    async def events(self) -> list[Read]:
        return self._events

    async def read(self, url: str) -> None:
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as client, client.sse(url) as source:
            async for event in source:
                if event.retry is not None:
                    self.retries.append(event.retry)
                else:
                    self._events.append(Read.of(event.event, event.data, event.id))


class Npm:
    """npm's eventsource, in a process of Node.js."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._events: list[Read] = []

    async def events(self) -> list[Read]:
        return self._events

    async def read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._events.append(Read.of(*json.loads(line)))


class Browser:
    """Chromium's EventSource."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def events(self) -> list[Read]:
        return [Read.of(*event) for event in await self._page.evaluate("window.events")]

    async def read(self, url: str) -> None:
        await self._page.evaluate(
            """([url, types]) => {
                window.events = [];
                window.source = new EventSource(url);
                for (const type of types) {
                    window.source.addEventListener(
                        type, (event) => window.events.push([type, event.data, event.lastEventId]));
                }
            }""",
            [url, TYPES],
        )


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[tuple[Httpx2, Npm, Browser]]:
    """All three, reading."""
    node = await asyncio.create_subprocess_exec(
        "node", str(HERE / "eventsource.mjs"), url, *TYPES, stdout=PIPE
    )
    httpx, npm = Httpx2(), Npm(node)
    readers = [asyncio.create_task(httpx.read(url)), asyncio.create_task(npm.read())]
    try:
        async with async_playwright() as playwright:
            chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = await chromium.new_page()
            await page.goto(url.replace("/prices/stream", "/healthz"))
            browser = Browser(page)
            await browser.read(url)
            yield httpx, npm, browser
            await chromium.close()
    finally:
        node.kill()
        await node.wait()
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


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


async def until_all_have(clients: tuple[Httpx2 | Npm | Browser, ...], expected: list[Read]) -> None:
    """Wait for as many events, then compare; who has reconnected meanwhile has more."""
    for client in clients:
        async with asyncio.timeout(60):
            while len(await client.events()) < len(expected):
                await asyncio.sleep(0.02)
        assert (await client.events())[: len(expected)] == expected, type(client).__name__


async def say_everything(server: Live, clock: ManualClock) -> None:
    """One of each, with what might trip a parser."""
    await server.publish("69420.10")
    await server.announce(
        Status.DEGRADED, 'Kraken’s price – “0.5 %” off:\r\ndata: {"no":1}\n\n\0\u2028\ufeff'
    )
    await clock.advance(HEARTBEAT + 1)
    await server.publish("0.01", status=Status.DEGRADED)


@pytest.mark.parametrize("detach", [True, False], ids=["detached", "fallback"])
async def test_every_client_reads_the_same_and_does_as_it_is_told(detach: bool) -> None:  # noqa: FBT001
    clock = ManualClock()
    async with live(clock, detach=detach, store_size=RING, heartbeat=HEARTBEAT) as server:
        ids = [await server.publish() for _ in range(2 * RING)]
        path = f"/prices/stream?last_event_id={ids[0]}"
        async with await Client.get(server.port, path) as ours, reading(server.url + path) as theirs:
            httpx, npm, browser = theirs
            await eventually(lambda: len(server.hub) == 4, seconds=60)
            await say_everything(server, clock)
            await server.publish()
            send_away(server)
            await read_on(ours)
            expected = parse(ours.raw)
            assert {event.type for event in expected} == set(TYPES)
            await until_all_have(theirs, expected)
            assert httpx.retries[1:] == [RETRY]
            assert 2000 <= httpx.retries[0] <= 5000

            late = 0
            while not await two_are_back_as_soon_as_told(server):
                late += 1
                assert late < 5, (
                    "they wait as long as they like"
                )  # a busy machine holds them up, but not each time
                await eventually(lambda: len(server.hub) == 2, seconds=60)
                send_away(server)
            last = expected[-1].id
            async with await Client.get(server.port, path, last_event_id=last) as again:
                await server.publish()
                await again.prices(1)
                status, *rest = parse(again.raw)
                await until_all_have((npm, browser), [*expected, *late * [status], status, *rest])


def send_away(server: Live) -> None:
    for stream in list(server.hub._live):
        server.hub._end(stream, sse.retry(RETRY))


async def two_are_back_as_soon_as_told(server: Live) -> bool:
    """Two of the four reconnect."""
    try:
        await eventually(lambda: len(server.hub) == 2, seconds=1.5)
    except TimeoutError:
        return False
    return True


async def read_on(client: Client) -> None:
    """To the end of its stream."""
    with contextlib.suppress(EOFError):
        while True:
            await client.event()
    assert client.ended
