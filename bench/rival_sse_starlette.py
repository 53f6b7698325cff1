"""The usual way to stream events from Python: Starlette, sse-starlette, one queue and one generator per client.

    python bench/rival_sse_starlette.py PORT SECONDS_BETWEEN_PRICES

To its advantage: uvloop and httptools, no access log, no logging, one string of JSON per price for all clients,
and no source to ask.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

Queue = asyncio.Queue[ServerSentEvent]


def price() -> ServerSentEvent:
    now = time.time_ns() // 1_000_000
    document = {
        "timestamp": now // 1000,
        "price": 69420.25,
        "status": "ok",
        "sources": 3,
        "spread": 3.1,
        "age": 0,
        "method": "vote3-ped/1",
    }
    return ServerSentEvent(json.dumps(document, separators=(",", ":")), id=str(now), sep="\n")


def application(interval: float) -> Starlette:
    clients: set[Queue] = set()

    async def publish() -> None:
        while True:
            await asyncio.sleep(interval)
            event = price()
            for queue in clients:
                queue.put_nowait(event)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        publishing = asyncio.create_task(publish())
        yield
        publishing.cancel()

    async def stream(_: Request) -> EventSourceResponse:
        async def events() -> AsyncIterator[ServerSentEvent]:
            queue: Queue = asyncio.Queue()
            clients.add(queue)
            try:
                while True:
                    yield await queue.get()
            finally:
                clients.discard(queue)

        return EventSourceResponse(events())

    return Starlette(routes=[Route("/prices/stream", stream)], lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(
        application(float(sys.argv[2])),
        port=int(sys.argv[1]),
        backlog=4096,
        log_config=None,
        access_log=False,
    )
