"""An HTTP client whose requests are traced."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import aiohttp
from yarl import URL

from btc_price_tracker.telemetry.masking import masked
from btc_price_tracker.telemetry.tracing import SpanKind, Tracer


class Getter(Protocol):
    """What sends GET requests: see Client."""

    def get(
        self, url: URL, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """See Client.get."""


class TracedClient:
    """Makes a span for each request of `client` to a source, by the semantic conventions for HTTP clients.

    The request itself doesn't carry the trace: it is none of the source's business.
    """

    def __init__(self, client: Getter, tracer: Tracer, source: str) -> None:
        self._client = client
        self._tracer = tracer
        self._source = source

    @asynccontextmanager
    async def get(
        self, url: URL, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """See Client.get. The span ends when the caller has read the body."""
        attributes: dict[str, str | int] = {
            "http.request.method": "GET",
            "url.full": masked(str(url)),
            "server.address": url.host or "",
            "server.port": url.port or 0,
            "btc.source": self._source,
        }
        with self._tracer.span("GET", SpanKind.CLIENT, attributes) as span:
            async with self._client.get(url, headers) as response:
                span.set({"http.response.status_code": response.status})
                if response.status >= 400:
                    span.fail(str(response.status))
                yield response
