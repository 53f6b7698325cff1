"""GET /prices/stream, in front of the framework's routing."""

from collections.abc import Callable

from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from btc_price_tracker.access.registry import Access
from btc_price_tracker.web import problems
from btc_price_tracker.web.access.check import LIVE, authorize
from btc_price_tracker.web.limits import SLOT, Slot
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.server.head import BLANKS
from btc_price_tracker.web.stream.browser import is_browser
from btc_price_tracker.web.stream.position import position, with_sources
from btc_price_tracker.web.stream.response import PriceStream
from btc_price_tracker.web.stream.shared import Streams

_CLIENT_ERRORS = (400, 401, 403)  # the other statuses are those of the limits on streams


class StreamRoute:
    """ASGI middleware that responds to GET and HEAD /prices/stream and passes every other request on.

    The framework's routing would double the cost of a connect. `cors` wraps the rest; of the requests for the stream
    only those with an Origin pay for it.
    """

    def __init__(
        self,
        streams: Streams,
        rest: ASGIApp,
        *,
        cors: Callable[[ASGIApp], ASGIApp],
        limited: Callable[[ASGIApp], ASGIApp],
        access: Access,
    ) -> None:
        """`limited` gives a response the rate limit of other requests: one that opens no stream has it, too."""
        self._streams = streams
        self._access = access
        self._rest = cors(limited(rest))
        self._limited = limited
        self._with_cors = cors(self._respond)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to the request, or pass it on."""
        if scope["path"] != "/prices/stream" or scope["method"] not in ("GET", "HEAD"):
            await self._rest(scope, receive, send)
        elif any(name == b"origin" for name, _ in scope["headers"]):
            await self._with_cors(scope, receive, send)
        else:
            await self._respond(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            grant = authorize(self._access, scope) or self._access.everyone
            stream = self._open(scope)
        except Problem as problem:
            response: ASGIApp = problem.response()
            if problem.status in _CLIENT_ERRORS:
                response = self._limited(response)
            await response(scope, receive, send)
        except Exception:
            await problems.bug()(scope, receive, send)
            raise  # as the framework does for its routes: the server logs it
        else:
            with grant.waits(LIVE):
                await stream(scope, receive, send)

    def _open(self, scope: Scope) -> PriceStream:
        """Check the request and admit it. Raises Problem (400, 429, 503)."""
        headers = dict(reversed(scope["headers"]))  # of a field that is repeated, the first counts
        last_event_id = headers.get(b"last-event-id", b"").strip(BLANKS).decode("latin-1")
        query = QueryParams(scope["query_string"]) if scope["query_string"] else {}
        start = position(last_event_id, query, self._streams.hub.now())
        include_sources = with_sources(query)
        slot: Slot = scope[SLOT]
        retry_after = slot.admit_stream(browser=is_browser(headers))
        return PriceStream(self._streams, start, slot, retry_after, with_sources=include_sources)
