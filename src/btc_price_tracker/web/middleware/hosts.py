"""ALLOWED_HOSTS: requests for other host names are refused.

A page of another site whose name leads to this machine (DNS rebinding) has that name as its origin, so the browser lets
it read what we answer, also on an instance that only this machine or this network reaches.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from btc_price_tracker.settings.hosts import ANY, normalized
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.server.head import BLANKS

PROBES = ("/healthz", "/readyz")  # asked by address, which differs from instance to instance
SHOWN = 100  # characters of a name


class AllowedHosts:
    """ASGI middleware that responds 421 to requests whose Host is not allowed (RFC 9110, 15.5.20)."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        """`hosts` are as `settings.hosts.normalized` has them."""
        self._app = app
        self._names = frozenset(hosts)
        self._suffixes = tuple(host.removeprefix("*") for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request if its host is allowed."""
        if scope["path"] in PROBES or self._allows(host := _host(scope)):
            await self._app(scope, receive, send)
        else:
            await _problem(host).response()(scope, receive, send)

    def _allows(self, host: str) -> bool:
        name = normalized(host)
        return name in self._names or name.endswith(self._suffixes)


def restricted(app: ASGIApp, hosts: tuple[str, ...]) -> ASGIApp:
    """The application for these hosts; itself if that is any."""
    return app if ANY in hosts else AllowedHosts(app, hosts)


def _host(scope: Scope) -> str:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value.strip(BLANKS).decode("latin-1") for name, value in headers if name == b"host"), "")


def _problem(host: str) -> Problem:
    return Problem(
        421, f"Host {host[:SHOWN]!r} is not served here; the operator can add it to ALLOWED_HOSTS."
    )
