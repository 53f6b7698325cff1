"""Which routes need which scope, and the check of each request (RFC 6750)."""

from collections.abc import Mapping
from functools import partial

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from btc_price_tracker.access.grants import Grant
from btc_price_tracker.access.registry import Access
from btc_price_tracker.access.scopes import NONE, Scopes, in_order
from btc_price_tracker.access.scopes import Scope as AccessScope
from btc_price_tracker.web.access.credentials import take_token
from btc_price_tracker.web.caching import make_private
from btc_price_tracker.web.limits import SLOT
from btc_price_tracker.web.problems import Problem

LIVE = frozenset({AccessScope.STREAM})
_HISTORY = frozenset({AccessScope.HISTORY})
LIVE_OR_HISTORY = LIVE | _HISTORY
_DOCS = frozenset({AccessScope.DOCS})

# By path: one of the scopes suffices; None: open, since it holds no price. A path that ends in / stands for all below.
ROUTES: Mapping[str, Scopes | None] = {
    "/": None,
    "/favicon.ico": None,
    "/page/": None,
    "/healthz": None,
    "/readyz": None,
    "/prices/stream": LIVE,
    "/prices/next": LIVE_OR_HISTORY,
    "/prices/latest": LIVE_OR_HISTORY,
    "/prices": _HISTORY,
    "/prices/": _HISTORY,
    "/sources": frozenset({AccessScope.SOURCES}),
    "/docs": _DOCS,
    "/openapi.json": _DOCS,
    "/metrics": frozenset({AccessScope.METRICS}),
}
_FOLDERS = {path: scopes for path, scopes in ROUTES.items() if path.endswith("/") and path != "/"}


def scopes_for(path: str) -> Scopes | None:
    """The scopes of which one opens a path; None if it is open, none if any valid token does: what is not listed."""
    if path in ROUTES:
        return ROUTES[path]
    return next((scopes for folder, scopes in _FOLDERS.items() if path.startswith(folder)), NONE)


def authorize(access: Access, scope: Scope) -> Grant | None:
    """What the token of a request allows; None where none is required. Raises Problem (401, 403).

    The request's slot counts for it. Preflights carry no token.
    """
    token = take_token(scope)
    wanted = scopes_for(scope["path"])
    if wanted is None or scope["method"] == "OPTIONS":
        return None
    if not access.requires_token(wanted):
        return _charge(scope, access.everyone)
    if token is None:
        raise _unauthorized("An access token is required, as Authorization: Bearer or as ?access_token=.")
    grant = access.find(token)
    if grant is None:
        raise _unauthorized(
            "The access token is not valid; it may have been revoked.", 'error="invalid_token"'
        )
    if wanted and not wanted & grant.scopes:
        raise _forbidden(wanted)
    return _charge(scope, grant)


def _charge(scope: Scope, grant: Grant) -> Grant:
    grant.requests += 1
    scope[SLOT].grant = grant
    return grant


class AccessCheck:
    """ASGI middleware that passes on what a token allows, and makes its responses private."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request."""
        try:
            grant = authorize(self._access, scope)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        if grant is not None and grant is not self._access.everyone:
            send = partial(_send_private, send)
        await self._app(scope, receive, send)


async def _send_private(send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        make_private(MutableHeaders(scope=message))
    await send(message)


def _unauthorized(detail: str, error: str = "") -> Problem:
    return Problem(401, detail, {"WWW-Authenticate": f"Bearer {error}".strip()})


def _forbidden(wanted: Scopes) -> Problem:
    names = in_order(wanted)
    challenge = f'Bearer error="insufficient_scope", scope="{" ".join(names)}"'
    return Problem(
        403, f"The access token lacks the scope {' or '.join(names)}.", {"WWW-Authenticate": challenge}
    )
