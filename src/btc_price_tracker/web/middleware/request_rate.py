"""The rate limit of requests per address: 429 beyond it, and what is left in every response.

By draft-ietf-httpapi-ratelimit-headers-10: `q` requests in a window of `w` seconds, of which `r` remain, and `t`
seconds until all are available again.
"""

import math

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from btc_price_tracker.web.address.groups import group_of
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.rates import Rates
from btc_price_tracker.web.refusals import IF_PROXY, Refusals

EXEMPT = ("/healthz", "/readyz", "/metrics")  # whoever watches the service must see it at all times

log = structlog.get_logger(__name__)


class RequestRate:
    """ASGI middleware; inside CORS, so that pages can read the 429, and preflights don't count."""

    def __init__(self, app: ASGIApp, rates: Rates, rejected: Refusals) -> None:
        """`rejected` counts by the reason `address`."""
        self._app = app
        self._rates = rates
        self._rejected = rejected
        self._policy = (b"ratelimit-policy", b'"address";q=%d;w=1' % rates.per_second)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request, or reject it."""
        client = scope.get("client")
        if client is None or not self._rates.per_second or scope["path"] in EXEMPT:
            await self._app(scope, receive, send)
            return
        verdict = self._rates.take(group_of(client[0]))
        after = math.ceil(verdict.full_after)
        fields = [self._policy, (b"ratelimit", b'"address";r=%d;t=%d' % (verdict.remaining, after))]

        async def send_with_limit(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *fields]
            await send(message)

        app = self._app if verdict.admitted else self._refuse(verdict.wait)
        await app(scope, receive, send_with_limit)

    def _refuse(self, wait: float) -> ASGIApp:
        if rejected := self._rejected.note("address"):
            log.warning("requests rejected", rejected=rejected, addresses=len(self._rates), remedy=IF_PROXY)
        seconds = str(math.ceil(wait))
        detail = f"Your address has sent more than {self._rates.per_second} requests within a second"
        return Problem(429, f"{detail}; retry in {seconds} s.", {"Retry-After": seconds}).response()
