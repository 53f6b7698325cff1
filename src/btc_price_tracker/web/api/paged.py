"""A response of any length in bounded memory: a page is read once the kernel has the previous one."""

from collections.abc import Mapping

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from btc_price_tracker.errors import StoreError
from btc_price_tracker.web.api.forms import Pages
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.server.detach import DETACHABLE, DetachableResponse
from btc_price_tracker.web.stream import messages as asgi

log = structlog.get_logger(__name__)


class PagedResponse(Response):
    """A body sent page by page: chunked, or delimited by the end of the connection for HTTP/1.0."""

    def __init__(self, pages: Pages, headers: Mapping[str, str], media_type: str) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self._pages = pages
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pages as fast as the client reads them."""
        exchange: DetachableResponse | None = scope.get("extensions", {}).get(DETACHABLE)
        if exchange is not None:
            exchange.hold_nothing_back()
            if scope["http_version"] == "1.0":
                exchange.leave_unframed()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            try:
                await self._send_pages(send)
            except (StoreError, Problem) as error:
                log.warning("response truncated", reason=str(error))
                if exchange is None:
                    raise
                exchange.reset()  # so that the client sees that the body is incomplete
                return
        await asgi.finish(exchange, receive, send)

    async def _send_pages(self, send: Send) -> None:
        while piece := await self._pages.take():
            await send(asgi.body(piece))
            del piece  # the write buffer has a copy of what the client hasn't read
            await send(asgi.body(b""))  # returns when the kernel has all of it
