"""`/metrics`: content negotiation; what is served is `telemetry.metrics`."""

from fastapi import FastAPI, Request, Response

from btc_price_tracker.telemetry.metrics import Metrics
from btc_price_tracker.web.accept import accepted
from btc_price_tracker.web.api.openapi import STATE
from btc_price_tracker.web.api.reply import get


def install(app: FastAPI, instance: Metrics) -> None:
    """Add the route `/metrics`."""

    @get(
        app,
        "/metrics",
        tags=[STATE],
        responses={
            401: {
                "description": "`METRICS_TOKEN` or `TOKENS_FILE` is set, and the request has no token for this."
            }
        },
    )
    async def metrics(request: Request) -> Response:
        """The metrics of this instance, for Prometheus, in its text format or as OpenMetrics."""
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
