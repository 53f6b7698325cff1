"""The ASGI application: the layers that every request passes, and the routes."""

from dataclasses import dataclass, field
from functools import partial

from fastapi import FastAPI, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from btc_price_tracker.access.registry import Access
from btc_price_tracker.broker.link import Link
from btc_price_tracker.clock import Clock
from btc_price_tracker.store.last_success import LastSuccess
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.telemetry.metrics import Metrics
from btc_price_tracker.telemetry.tracing import NO_TRACER, Tracer
from btc_price_tracker.telemetry.watchdog import Watchdog
from btc_price_tracker.web import problems, site
from btc_price_tracker.web.access.check import AccessCheck
from btc_price_tracker.web.api import following, health, history, hours, metrics, prices
from btc_price_tracker.web.api.history import Gates
from btc_price_tracker.web.api.openapi import STATE, Api
from btc_price_tracker.web.api.readiness import ReadinessProbe
from btc_price_tracker.web.api.reply import encoder, get, reply
from btc_price_tracker.web.api.views import SourcesView, broker_view, source_views, store_view
from btc_price_tracker.web.gate import Gate
from btc_price_tracker.web.limits import Admission, Limits
from btc_price_tracker.web.middleware.compression import Compression
from btc_price_tracker.web.middleware.content_policy import ContentPolicy
from btc_price_tracker.web.middleware.cors import Cors
from btc_price_tracker.web.middleware.hosts import restricted
from btc_price_tracker.web.middleware.measurement import STREAM, Measurement, Requests
from btc_price_tracker.web.middleware.request_id import RequestId
from btc_price_tracker.web.middleware.request_rate import RequestRate
from btc_price_tracker.web.middleware.traced import Traced
from btc_price_tracker.web.rates import Rates
from btc_price_tracker.web.refusals import Refusals
from btc_price_tracker.web.server.certificate import Certificate
from btc_price_tracker.web.server.sockets import Peers
from btc_price_tracker.web.stream.canary import Canary
from btc_price_tracker.web.stream.route import StreamRoute
from btc_price_tracker.web.stream.shared import Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the routes read."""

    streams: Streams
    limits: Limits
    request_rates: Rates
    peers: Peers
    outbox: Outbox
    store_success: LastSuccess
    canary: Canary
    link: Link
    instance: str  # the name of this instance
    clock: Clock
    interval: float  # seconds between prices
    cors_origins: tuple[str, ...]
    allowed_hosts: tuple[str, ...]
    certificate: Certificate | None = None  # None: without TLS
    origin: str | None = None  # where recorded prices come from; None where they are live
    watchdog: Watchdog
    metrics: Metrics
    access: Access = field(default_factory=Access)
    tracer: Tracer = NO_TRACER
    requests: Requests = field(default_factory=Requests)
    rejected_requests: Refusals = field(default_factory=lambda: Refusals(["address"]))
    gates: Gates = field(default_factory=lambda: Gates(prices=Gate(at_once=4), candles=Gate(at_once=2)))


def application(parts: Parts) -> ASGIApp:
    """The HTTP side as one ASGI application."""
    hub, store, outbox, gates = parts.streams.hub, parts.streams.store, parts.outbox, parts.gates
    hub.describe_sources = lambda: encoder.encode(_sources_view(parts))
    app = Api()
    problems.install(app)
    # The order is that of the API's description, and `/prices/{id}` would match the others' paths.
    history.install(app, store, outbox, gates, hub.now)
    hours.install(app, store, outbox, gates.prices, hub.now)
    following.install(app, following.NextPrices(parts.streams, outbox, parts.link, gates.prices))
    prices.install(app, hub, store, outbox, gates.prices, parts.interval)
    _add_sources(app, parts)
    probe = ReadinessProbe(hub, outbox, parts.store_success, parts.link, parts.canary, parts.interval)
    health.install(app, parts.watchdog, probe)
    metrics.install(app, parts.metrics)
    site.install(app)
    cors = partial(
        Cors,
        allow_origins=parts.cors_origins,
        allow_methods=["GET", "HEAD"],
        allow_headers=["Authorization", "Last-Event-ID", "Cache-Control", "X-Request-ID"],
        expose_headers=[
            "X-Request-ID",
            "Retry-After",
            "Link",
            "WWW-Authenticate",
            "RateLimit",
            "RateLimit-Policy",
        ],
    )
    described = ContentPolicy(Compression(app))
    checked = AccessCheck(described, parts.access)
    limited = partial(
        RequestRate, rates=parts.request_rates, rejected=parts.rejected_requests, monotonic=hub.monotonic
    )
    stream = StreamRoute(parts.streams, checked, cors=cors, limited=limited, access=parts.access)
    admitted = Admission(stream, parts.limits)
    measured = Measurement(restricted(admitted, parts.allowed_hosts), parts.requests, _templates(app))
    return RequestId(measured if parts.tracer is NO_TRACER else Traced(measured, parts.tracer, app.routes))


def _templates(app: FastAPI) -> dict[str, str]:
    """The path of each route, and what metrics call it: the same, without what differs from version to version."""
    paths = [STREAM, *(route.path for route in app.routes if isinstance(route, Route))]
    return {**dict(zip(paths, paths, strict=True)), site.file_route(): "/page/{name}"}


def _add_sources(app: FastAPI, parts: Parts) -> None:
    @get(app, "/sources", tags=[STATE])
    async def sources() -> Response:
        """Every source with its price, age, deviation, state and reason; and whether prices are being stored."""
        return reply(_sources_view(parts))


def _sources_view(parts: Parts) -> SourcesView:
    """The body of `/sources`, and the data of `sources` events."""
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
        broker=broker_view(parts.instance, hub, parts.link, now),
        sources=source_views(hub.update, hub.latest, now),
    )
