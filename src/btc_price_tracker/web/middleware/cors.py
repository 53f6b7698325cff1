"""CORS: the origins that may send requests, and what they may read of the responses."""

from functools import partial
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Send

from btc_price_tracker.web.problems import ProblemResponse

OPAQUE = "null"  # the origin of every sandboxed frame and local file, so no particular site


class Cors(CORSMiddleware):
    """CORS as Starlette does it, but an exact origin may send credentials, and a rejection is a problem like any other.

    Starlette would allow credentials to every origin that may read, `*` included.
    """

    def __init__(self, app: ASGIApp, allow_origins: tuple[str, ...], **rules: Any) -> None:
        super().__init__(app, allow_origins, **rules)
        self._trusted = frozenset(allow_origins) - {"*", OPAQUE}
        self._is_same_for_all = allow_origins == ("*",)

    def preflight_response(self, request_headers: Headers) -> Response:
        """The response to a preflight request."""
        response = super().preflight_response(request_headers)
        if request_headers["origin"] in self._trusted:
            _allow_credentials(response.headers, request_headers["origin"])
        if response.status_code == 200:
            return response
        allowed = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        return ProblemResponse(response.status_code, f"{bytes(response.body).decode()}.", allowed)

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Send a part of the response, with CORS headers in its head.

        Where they are the same for every origin, a cache needs one copy, and it must have them even if the first
        client to ask sent no `Origin`.
        """
        if self._is_same_for_all:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.simple_headers)
            await send(message)
            return
        origin = request_headers.get("origin")
        if origin in self._trusted:
            send = partial(_send_with_credentials, send, origin)
        await super().send(message, send, request_headers)


async def _send_with_credentials(send: Send, origin: str, message: Message) -> None:
    if message["type"] == "http.response.start":
        _allow_credentials(MutableHeaders(scope=message), origin)
    await send(message)


def _allow_credentials(headers: MutableHeaders, origin: str) -> None:
    headers["Access-Control-Allow-Origin"] = origin  # also if `*` is allowed: that excludes credentials
    headers["Access-Control-Allow-Credentials"] = "true"
