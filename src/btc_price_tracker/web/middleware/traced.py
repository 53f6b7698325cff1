"""A span for each request, by the semantic conventions for HTTP servers.

The query isn't recorded, since it may hold a token, nor is the client's address.
"""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from btc_price_tracker.telemetry.logs import REQUEST_ID
from btc_price_tracker.telemetry.tracing import NO_SPAN, Span, SpanKind, Tracer

SPAN = "btc_price_tracker.span"  # the key in the scope
STREAM = "/prices/stream"
_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE")
_MAX_PATH = 256  # characters


class Traced:
    """ASGI middleware. The span of a stream ends once its start is known: see `span_of`."""

    def __init__(self, app: ASGIApp, tracer: Tracer, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._tracer = tracer
        self._routes = list(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request in a span, as `scope[SPAN]`, whose parent the request may name."""
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        route = _route(scope, self._routes)
        attributes = {
            "http.request.method": method,
            "url.path": scope["path"][:_MAX_PATH],
            "url.scheme": scope["scheme"],
            "network.protocol.version": scope["http_version"],
            "btc.request_id": REQUEST_ID.get(""),
            **({"http.route": route} if route else {}),
        }
        name = f"{'HTTP' if method == '_OTHER' else method} {route or ''}".strip()
        with self._tracer.span(name, SpanKind.SERVER, attributes, _traceparent(scope)) as span:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _note_status(span, message["status"])
                await send(message)

            scope[SPAN] = span
            await self._app(scope, receive, send_and_note)


def span_of(scope: Scope) -> Span:
    """The span of a request, for its response to add what it knows, or to end it early."""
    span: Span = scope.get(SPAN, NO_SPAN)
    return span


def _note_status(span: Span, status: int) -> None:
    span.set({"http.response.status_code": status})
    if status >= 500:
        span.fail(str(status))


def _route(scope: Scope, routes: Iterable[BaseRoute]) -> str | None:
    """The template of the path; None where there is none, so that garbage makes no new names."""
    if scope["path"] == STREAM:
        return STREAM
    for route in routes:
        if route.matches(scope)[0] is not Match.NONE:
            return getattr(route, "path", None)
    return None


def _traceparent(scope: Scope) -> str | None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for name, value in headers if name == b"traceparent"), None)
