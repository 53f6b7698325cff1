"""Counts and times requests by the template of their route, of which there are a fixed number."""

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from btc_price_tracker.meters import Distribution
from btc_price_tracker.telemetry.logs import TRACE_ID

OTHER = "other"  # the route of every path that no template matches
DISCONNECTED = "disconnected"  # the status of a request whose client left before the head of the response
STREAM = "/prices/stream"
_PARAMETER = re.compile(r"\{[^}]*\}")


class Requests:
    """Counts that only grow, and durations in seconds."""

    def __init__(self) -> None:
        self.by_status: Counter[tuple[str, str]] = Counter()  # by route and status
        self.seconds: dict[str, Distribution] = {}  # by route
        self.in_progress = 0  # without streams


class Measurement:
    """ASGI middleware. A stream ends, for it, with its head."""

    def __init__(
        self,
        app: ASGIApp,
        requests: Requests,
        templates: Mapping[str, str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`templates` are paths such as `/prices/{id}`, with the label of each; the first that matches counts.

        Those without parameters come before the others.
        """
        self._app = app
        self._requests = requests
        self._monotonic = monotonic
        self._exact = {path: label for path, label in templates.items() if "{" not in path}
        self._patterns = [(_pattern(path), label) for path, label in templates.items() if "{" in path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request and measure it."""
        route, requests, monotonic = self.route(scope["path"]), self._requests, self._monotonic
        began, status, is_open = monotonic(), 0, True

        def finish() -> None:
            nonlocal is_open
            if is_open:
                is_open = False
                requests.in_progress -= 1
                requests.by_status[route, str(status) if status else DISCONNECTED] += 1
                requests.seconds.setdefault(route, Distribution()).observe(
                    monotonic() - began, TRACE_ID.get(None)
                )

        async def measured(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if route == STREAM:
                    finish()
            await send(message)

        requests.in_progress += 1
        try:
            await self._app(scope, receive, measured)
        finally:
            finish()

    def route(self, path: str) -> str:
        """The template that a path matches."""
        if path in self._exact:
            return self._exact[path]
        return next((label for pattern, label in self._patterns if pattern.fullmatch(path)), OTHER)


def _pattern(template: str) -> re.Pattern[str]:
    """Parameters match within a segment, those of the kind `{name:path}` beyond it."""
    literal, parameters = _PARAMETER.split(template), _PARAMETER.findall(template)
    kinds = [".+" if each.endswith(":path}") else "[^/]+" for each in parameters]
    return re.compile(
        "".join(re.escape(text) + kind for text, kind in zip(literal, [*kinds, ""], strict=True))
    )
