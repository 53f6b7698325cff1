"""Five SSE clients that are not ours, each with a list of what it hands to its user."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import httpx
import httpx2
from httpx_sse import aconnect_sse
from playwright.async_api import Page

HERE = Path(__file__).parent
TYPES = ("message", "status", "gap", "heartbeat")


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


class Client(Protocol):
    """A client that reads."""

    async def events(self) -> list[Read]:
        """Everything it has handed to its user."""


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
                self._events.append(Read.of(event.event, event.data, event.id))


class HttpxSse:
    """httpx-sse, which doesn't reconnect."""

    def __init__(self) -> None:
        self._events: list[Read] = []

    async def events(self) -> list[Read]:
        return self._events

    async def read(self, url: str) -> None:
        async with (
            httpx.AsyncClient(trust_env=False, timeout=30) as client,
            aconnect_sse(client, "GET", url) as source,
        ):
            async for event in source.aiter_sse():
                self._events.append(Read.of(event.event, event.data, event.id))


class Program:
    """A process that prints every event as a line of JSON: npm's eventsource in Node.js, r3labs/sse in Go."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._events: list[Read] = []

    async def events(self) -> list[Read]:
        return self._events

    async def read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._events.append(Read.of(*json.loads(line)))


@asynccontextmanager
async def program(*words: str) -> AsyncIterator[Program]:
    """A program, reading."""
    process = await asyncio.create_subprocess_exec(*words, stdout=PIPE)
    client = Program(process)
    reading = asyncio.create_task(client.read())
    try:
        yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(reading, return_exceptions=True)


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
