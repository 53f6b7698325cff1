"""Compression with gzip for clients that accept it; event streams are never compressed.

Compressing a secret together with attacker-chosen text reveals it by the length (BREACH): no body here holds a secret.
"""

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from btc_price_tracker.web.accept import accepts_gzip

MIN_SIZE = 1000  # bytes; a shorter body is one packet anyway
LEVEL = 4  # 1,000 prices: 132 KB become 16 KB in 0.6 ms, at level 9 14.6 KB in 3.3 ms


class Compression(GZipMiddleware):
    """Starlette's middleware, with support for `gzip;q=0` and for HTTP/1.0, which has no chunks."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, minimum_size=MIN_SIZE, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request and compress its response."""
        given = ",".join(Headers(scope=scope).getlist("accept-encoding"))
        encoding = b"gzip" if scope["http_version"] != "1.0" and accepts_gzip(given) else b""
        others = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await super().__call__({**scope, "headers": [*others, (b"accept-encoding", encoding)]}, receive, send)
