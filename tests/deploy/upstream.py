"""A stand-in for `/prices/next` that counts what reaches it, and answers when the test says so."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

IMMUTABLE = "public, max-age=31536000, immutable"


class NextPrice:
    """`answers` is by `after`: the status and caching of the answer, once `released`."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.released = asyncio.Event()
        self.status = 200
        self.cache_control = IMMUTABLE
        self.port = 0

    async def next(self, request: web.Request) -> web.Response:
        after = request.query["after"]
        self.requests[after] += 1
        await self.released.wait()
        headers = {"Cache-Control": self.cache_control}
        if self.status == 204:
            return web.Response(status=204, headers=headers)
        return web.json_response({"id": int(after) + 1}, headers=headers)


@asynccontextmanager
async def next_price() -> AsyncIterator[NextPrice]:
    upstream = NextPrice()
    application = web.Application()
    application.router.add_get("/prices/next", upstream.next)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream.port = runner.addresses[0][1]
    try:
        yield upstream
    finally:
        upstream.released.set()
        with contextlib.suppress(asyncio.CancelledError):
            await runner.cleanup()
