"""X-Request-ID on every response: the client's, if it sent a valid one, else a new one."""

import random
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from btc_price_tracker.telemetry.logs import REQUEST_ID
from btc_price_tracker.web.server.head import BLANKS

_VALID = re.compile(rb"[A-Za-z0-9._~+/=-]{1,128}")


def new_request_id() -> str:
    """Sixteen hexadecimal digits."""
    return f"{random.getrandbits(64):016x}"  # nosec B311 # not a secret


class RequestId:
    """ASGI middleware; the outermost, so that errors and preflights have the id too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request with its id."""
        request_id = _client_id(scope) or new_request_id()
        REQUEST_ID.set(request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        await self._app(scope, receive, send_with_id)


def _client_id(scope: Scope) -> str | None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    for name, value in headers:
        if name == b"x-request-id" and _VALID.fullmatch(value := value.strip(BLANKS)):
            return value.decode()
    return None
