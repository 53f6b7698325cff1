"""Admission of clients: the one place that gives a request its slot, and takes it back.

Every request passes `Admission`, the outermost layer but for the request id. Its slot is released when the response
ends. A response that streams counts towards MAX_CLIENTS from `Slot.admit_stream` on; once its socket has left the
server, `Hub.leave` releases its slot instead.
"""

import random

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.web.problems import Problem

log = structlog.get_logger(__name__)

SLOT = "btc_price_tracker.slot"  # the key in the scope


class Limits:
    """Counts the slots in use and keeps the streams within `max_streams` (0: no limit)."""

    def __init__(self, hub: Hub, max_streams: int) -> None:
        self.requests = 0  # slots in use, those of streams included
        self.streams = 0  # slots of streams
        self.rejected = 0  # streams since the start
        self._hub = hub
        self.max_streams = max_streams

    @property
    def is_full(self) -> bool:
        """Whether the next stream is rejected."""
        return self._hub.draining or 0 < self.max_streams <= self.streams

    def reject(self, *, browser: bool) -> int:
        """Count a rejected stream; returns the milliseconds after which a browser is to reconnect, with jitter.

        Raises Problem (503 with Retry-After) for other clients. A browser's EventSource never reconnects after an
        error status, so it must get a 200.
        """
        self.rejected += 1
        log.debug("stream rejected", streams=self.streams, draining=self._hub.draining)
        milliseconds = random.randint(10_000, 30_000)  # nosec B311 # jitter
        if not browser:
            seconds = str(milliseconds // 1000)
            cause = "The server is shutting down" if self._hub.draining else "MAX_CLIENTS streams are open"
            raise Problem(503, f"{cause}; retry in {seconds} s.", {"Retry-After": seconds})
        return milliseconds


class Slot:
    """What one request, or the stream that it became, occupies until `release`."""

    __slots__ = ("_in_use", "_is_stream", "_limits", "is_handed_over")

    def __init__(self, limits: Limits) -> None:
        limits.requests += 1
        self.is_handed_over = False  # to the hub, which releases it when the stream leaves
        self._limits = limits
        self._in_use = True
        self._is_stream = False

    def admit_stream(self, *, browser: bool) -> int | None:
        """Count as a stream; where the limit is reached, do as `Limits.reject` instead. None: admitted."""
        if self._limits.is_full:
            return self._limits.reject(browser=browser)
        self._is_stream = True
        self._limits.streams += 1
        return None

    def release(self) -> None:
        """Give the slot back. Idempotent."""
        if self._in_use:
            self._in_use = False
            self._limits.requests -= 1
            self._limits.streams -= self._is_stream


class Admission:
    """ASGI middleware that gives each request a slot, as `scope[SLOT]`, and releases it when the response ends."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request in a slot."""
        slot = scope[SLOT] = Slot(self._limits)
        try:
            await self._app(scope, receive, send)
        finally:
            if not slot.is_handed_over:
                slot.release()
