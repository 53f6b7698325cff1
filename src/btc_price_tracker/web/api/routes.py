"""The routes: what users ask, answered from the parts. No logic of the price or of the fan-out is here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from fastapi import FastAPI, Path, Response
from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from btc_price_tracker import __version__
from btc_price_tracker.clock import Clock
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.telemetry.metrics import Metrics
from btc_price_tracker.telemetry.watchdog import Watchdog
from btc_price_tracker.web import problems, site
from btc_price_tracker.web.api import history, metrics
from btc_price_tracker.web.api.digits import DIGITS
from btc_price_tracker.web.api.history import Gates
from btc_price_tracker.web.api.openapi import BAD_PARAMETER, PRICES, STATE, STORE_FAILS, Api
from btc_price_tracker.web.api.reply import encoder, get, reply
from btc_price_tracker.web.api.views import (
    Liveness,
    PriceView,
    Provenance,
    SourcesView,
    readiness,
    source_views,
    store_view,
)
from btc_price_tracker.web.gate import Gate
from btc_price_tracker.web.middleware.compression import Compression
from btc_price_tracker.web.middleware.cors import Cors
from btc_price_tracker.web.middleware.request_id import RequestId
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.server.head import BLANKS
from btc_price_tracker.web.stream.browser import is_browser
from btc_price_tracker.web.stream.position import GREATEST_ID, position, with_sources
from btc_price_tracker.web.stream.response import PriceStream
from btc_price_tracker.web.stream.shared import Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the routes look at."""

    streams: Streams
    outbox: Outbox
    clock: Clock
    interval: float  # seconds between prices
    cors_origins: tuple[str, ...]
    origin: str | None = None  # where recorded prices come from; None where they are live
    watchdog: Watchdog
    metrics: Metrics
    metrics_token: str | None = None  # that /metrics requires; None: it requires none
    gates: Gates = field(default_factory=lambda: Gates(prices=Gate(at_once=4), candles=Gate(at_once=2)))


def application(parts: Parts) -> ASGIApp:
    """The whole HTTP side as one ASGI application."""
    parts.streams.hub.describe_sources = lambda: encoder.encode(_sources_view(parts))
    app = Api()
    problems.install(app)

    def stream(scope: Scope) -> PriceStream:
        headers = dict(reversed(scope["headers"]))  # of a field that comes twice, the first counts
        last_event_id = headers.get(b"last-event-id", b"").strip(BLANKS).decode("latin-1")
        query = QueryParams(scope["query_string"]) if scope["query_string"] else {}
        wanted = position(last_event_id, query, parts.streams.hub.now())
        return PriceStream(
            parts.streams,
            wanted,
            browser=is_browser(headers),
            with_sources=with_sources(query),
        )

    _add_routes(app, parts)
    site.install(app)
    cors = partial(
        Cors,
        allow_origins=parts.cors_origins,
        allow_methods=["GET", "HEAD"],
        allow_headers=["Last-Event-ID", "Cache-Control", "X-Request-ID"],
        expose_headers=["X-Request-ID", "Retry-After", "Link"],
    )
    return RequestId(StreamFirst(stream, Compression(app), cors))


class StreamFirst:
    """Leads GET /prices/stream past what ten thousand connects should not pay for.

    The framework's routing costs as much as the rest of the route; CORS is for requests that name an origin.
    """

    def __init__(
        self, stream: Callable[[Scope], ASGIApp], rest: ASGIApp, cors: Callable[[ASGIApp], ASGIApp]
    ) -> None:
        self._stream = stream
        self._rest = cors(rest)
        self._stream_for_pages = cors(self._answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Choose the way."""
        if scope["path"] != "/prices/stream" or scope["method"] not in ("GET", "HEAD"):
            await self._rest(scope, receive, send)
        elif b"origin" in dict(scope["headers"]):
            await self._stream_for_pages(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = self._stream(scope)
        except Problem as problem:
            response = problem.response()
        except Exception:
            await problems.bug()(scope, receive, send)
            raise  # as the framework does for its routes: the server logs it
        await response(scope, receive, send)


def _sources_view(parts: Parts) -> SourcesView:
    """What `/sources` and the `sources` events say now."""
    hub, now = parts.streams.hub, parts.clock.now()
    return SourcesView(
        timestamp=now // 1000,
        recorded=parts.origin is not None,
        origin=parts.origin,
        status=hub.status,
        reason=hub.reason,
        price=hub.latest.price if hub.latest else None,
        interval=parts.interval,
        heartbeat=hub.heartbeat,
        store=store_view(parts.outbox),
        sources=source_views(hub.update, hub.latest, now),
    )


def _add_routes(app: FastAPI, parts: Parts) -> None:
    hub = parts.streams.hub

    @get(app, "/prices/latest", tags=[PRICES], responses={503: {"description": "There is no price yet."}})
    async def latest() -> Response:
        """The newest price; `stale` with its age where nothing fresh has come since."""
        newest = hub.latest
        if newest is None:
            raise Problem(503, hub.reason, {"Retry-After": str(round(parts.interval))})
        return reply(PriceView.of(newest))

    history.install(app, parts.streams.store, parts.outbox, parts.gates, hub.now)
    metrics.install(app, parts.metrics, parts.metrics_token)

    @get(
        app,
        "/prices/{id}",
        tags=[PRICES],
        responses={400: BAD_PARAMETER, 404: {"description": "There is no such price."}, 503: STORE_FAILS},
    )
    async def price(
        tick_id: Annotated[
            int, Path(alias="id", ge=0, le=GREATEST_ID, description="The id of a price."), DIGITS
        ],
    ) -> Response:
        """One price and every source's part in it: enough to compute it again."""
        # In this order: what leaves the outbox while we look is in the store.
        tick = parts.outbox.get(tick_id)
        if tick is None:
            async with parts.gates.prices.admit():
                tick = await parts.streams.store.get(tick_id)
        if tick is None:
            raise Problem(404, f"There is no price with the id {tick_id}.")
        return reply(Provenance.of(tick), cache="public, max-age=86400, immutable")

    @get(app, "/sources", tags=[STATE])
    async def sources() -> Response:
        """How every source is doing: its price, age, deviation and state, and why; and whether prices are kept."""
        return reply(_sources_view(parts))

    @get(
        app,
        "/healthz",
        tags=[STATE],
        responses={503: {"description": "The event loop was stuck until a moment ago."}},
    )
    async def healthz() -> Response:
        """The process lives, and its event loop turns."""
        watchdog = parts.watchdog
        view = Liveness(alive=not watchdog.recovering, version=__version__, lag_ms=round(watchdog.lag * 1000))
        return reply(view, 200 if view.alive else 503)

    @get(app, "/readyz", tags=[STATE], responses={503: {"description": "Not ready, and why."}})
    async def readyz() -> Response:
        """Whether it serves a fresh price and all its parts work; 503 and the reasons if not."""
        view = readiness(hub, parts.outbox, parts.interval)
        return reply(view, 200 if view.ready else 503)
