"""`/metrics`: content negotiation and the token; what is served is `telemetry.metrics`."""

from secrets import compare_digest

from fastapi import FastAPI, Request, Response

from btc_price_tracker.telemetry.metrics import Metrics
from btc_price_tracker.web.accept import accepted
from btc_price_tracker.web.api.openapi import STATE
from btc_price_tracker.web.api.reply import get
from btc_price_tracker.web.problems import Problem


def install(app: FastAPI, instance: Metrics, token: str | None) -> None:
    """Add the route `/metrics`, which requires `token` as a bearer token if it is set."""

    @get(
        app,
        "/metrics",
        tags=[STATE],
        responses={401: {"description": "`METRICS_TOKEN` is set, and the request doesn't carry it."}},
    )
    async def metrics(request: Request) -> Response:
        """The metrics of this instance, for Prometheus, in its text format or as OpenMetrics."""
        if token is not None and not _carries(request, token):
            raise Problem(
                401, "/metrics requires METRICS_TOKEN as a bearer token.", {"WWW-Authenticate": "Bearer"}
            )
        accept = request.headers.get("accept", "")
        content, content_type = instance.render(as_openmetrics=_prefers_openmetrics(accept))
        return Response(content, headers={"Cache-Control": "no-store"}, media_type=content_type)


def _prefers_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics 1.0.0 is accepted, with a quality no lower than the text format's.

    prometheus_client's own negotiation fails on versions that are quoted or unknown, and ignores quality.
    """
    open_metrics = plain = 0.0
    for item in accepted(accept):
        if item.value == "text/plain":
            plain = max(plain, item.quality)
        elif item.value == "application/openmetrics-text" and item.parameters.get("version") in (
            None,
            "1.0.0",
        ):
            open_metrics = max(open_metrics, item.quality)
    return open_metrics > 0 and open_metrics >= plain


def _carries(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and compare_digest(given.strip().encode(), token.encode())
