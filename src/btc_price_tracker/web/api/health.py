"""`/healthz` and `/readyz`, for whatever restarts an instance or routes traffic to it."""

from fastapi import FastAPI, Response

from btc_price_tracker import __version__
from btc_price_tracker.telemetry.watchdog import Watchdog
from btc_price_tracker.web.api.openapi import STATE
from btc_price_tracker.web.api.readiness import ReadinessProbe
from btc_price_tracker.web.api.reply import get, reply
from btc_price_tracker.web.api.views import Liveness


def install(app: FastAPI, watchdog: Watchdog, probe: ReadinessProbe) -> None:
    """Add the routes."""

    @get(
        app,
        "/healthz",
        tags=[STATE],
        responses={503: {"description": "The event loop was blocked until a moment ago."}},
    )
    async def healthz() -> Response:
        """Whether the process is alive and its event loop runs."""
        view = Liveness(alive=not watchdog.recovering, version=__version__, lag_ms=round(watchdog.lag * 1000))
        return reply(view, 200 if view.alive else 503)

    @get(app, "/readyz", tags=[STATE], responses={503: {"description": "Not ready, with the reasons."}})
    async def readyz() -> Response:
        """Whether the instance has a fresh price and every part works; 503 with the reasons if not.

        `checks` has each with its status, and the seconds since it was last seen to work as `age`: the price, the
        store, the broker, a stream that the instance reads itself, and the file descriptors.
        """
        view = probe.run()
        return reply(view, 200 if view.ready else 503)
