"""Admission of clients: the one place that gives a request its slot, and takes it back.

Every request passes `Admission`, unless it is for a host that isn't served. Its slot is released when the response
ends. A response that streams counts towards the limits of streams from `Slot.admit_stream` on; once its socket has left
the server, `Hub.leave` releases its slot instead.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from btc_price_tracker.access.grants import Grant
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.web.address.groups import Group, group_of
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.rates import Rates
from btc_price_tracker.web.refusals import IF_PROXY, Refusals

log = structlog.get_logger(__name__)

SLOT = "btc_price_tracker.slot"  # the key in the scope


class Reason(StrEnum):
    """Why a stream is rejected."""

    DRAINING = "draining"
    MAX_CLIENTS = "max_clients"
    MAX_CLIENTS_PER_IP = "max_clients_per_ip"
    CONNECT_RATE = "connect_rate"
    CONNECT_RATE_PER_IP = "connect_rate_per_ip"
    ACCESS_TOKEN = "access_token"  # noqa: S105 # nosec B105 # no token


_CAUSES = {
    Reason.DRAINING: "The server is shutting down",
    Reason.MAX_CLIENTS: "MAX_CLIENTS streams are open",
    Reason.MAX_CLIENTS_PER_IP: "MAX_CLIENTS_PER_IP streams of your address are open",
    Reason.CONNECT_RATE: "CONNECT_RATE streams were opened within a second",
    Reason.CONNECT_RATE_PER_IP: "CONNECT_RATE_PER_IP streams of your address were opened within a second",
    Reason.ACCESS_TOKEN: "The most streams that your access token allows are open",
}
_OF_ADDRESS = (Reason.MAX_CLIENTS_PER_IP, Reason.CONNECT_RATE_PER_IP)
_OF_CLIENT = (*_OF_ADDRESS, Reason.ACCESS_TOKEN)  # 429: others are still admitted


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Open streams, and new ones a second; 0: no limit."""

    open: int = 0
    open_per_address: int = 0
    rate: int = 0
    rate_per_address: int = 0


class Limits:
    """Counts the slots in use and keeps the streams within their limits."""

    def __init__(self, hub: Hub, streams: StreamLimits) -> None:
        self.requests = 0  # slots in use, those of streams included
        self.streams = 0  # slots of streams
        self.rejected = Refusals(Reason, hub.monotonic)  # streams
        self.max = streams
        self._hub = hub
        self._by_address: dict[Group, int] = {}  # slots of streams, of addresses that have any
        self._rate = Rates(streams.rate)
        self._rate_per_address = Rates(streams.rate_per_address)

    @property
    def addresses(self) -> int:
        """Number of addresses that have streams, where these are limited."""
        return len(self._by_address)

    def enter(self, group: Group | None, grant: Grant | None, *, connects: bool) -> Reason | None:
        """Count a stream of an address and a token, as a new one if it `connects`; or the reason why it is rejected.

        The limits of an address come before CONNECT_RATE: what they reject takes nothing of that.
        """
        limits = self.max
        if self._hub.draining:
            return Reason.DRAINING
        if 0 < limits.open <= self.streams:
            return Reason.MAX_CLIENTS
        of_address = self._by_address.get(group, 0) if group is not None else 0
        if 0 < limits.open_per_address <= of_address:
            return Reason.MAX_CLIENTS_PER_IP
        if grant is not None and grant.is_full:
            return Reason.ACCESS_TOKEN
        if connects and (reason := self._too_fast(group)):
            return reason
        self.streams += 1
        if group is not None and limits.open_per_address:
            self._by_address[group] = of_address + 1
        if grant is not None:
            grant.streams += 1
        return None

    def _too_fast(self, group: Group | None) -> Reason | None:
        now = self._hub.monotonic()
        if group is not None and self._rate_per_address.take(group, now):
            return Reason.CONNECT_RATE_PER_IP
        return Reason.CONNECT_RATE if self._rate.take(None, now) else None

    def vacate(self, group: Group | None, grant: Grant | None) -> None:
        """Take back what `enter` has counted."""
        self.streams -= 1
        if grant is not None:
            grant.streams -= 1
        if group in self._by_address:
            self._by_address[group] -= 1
            if not self._by_address[group]:
                del self._by_address[group]

    def reject(self, reason: Reason, *, browser: bool) -> int:
        """Count a rejected stream; returns the milliseconds after which a browser is to reconnect, with jitter.

        Raises Problem (503 or 429, with Retry-After) for other clients. A browser's EventSource never reconnects after
        an error status, so it must get a 200.
        """
        if rejected := self.rejected.note(reason):
            self._log(reason, rejected)
        milliseconds = random.randint(10_000, 30_000)  # nosec B311 # jitter
        if not browser:
            seconds = str(milliseconds // 1000)
            status = 429 if reason in _OF_CLIENT else 503
            raise Problem(status, f"{_CAUSES[reason]}; retry in {seconds} s.", {"Retry-After": seconds})
        return milliseconds

    def _log(self, reason: Reason, rejected: int) -> None:
        log.warning(
            "streams rejected",
            reason=str(reason),
            rejected=rejected,
            streams=self.streams,
            addresses=self.addresses,
            remedy=IF_PROXY if reason in _OF_ADDRESS else None,
        )


class Slot:
    """What one request, or the stream that it became, occupies until `release`."""

    __slots__ = ("_group", "_in_use", "_is_stream", "_limits", "grant", "is_handed_over")

    def __init__(self, limits: Limits, group: Group | None = None) -> None:
        """`group` is that of the client's address; None where it has none."""
        limits.requests += 1
        self.grant: Grant | None = None  # of the token that the request carries
        self.is_handed_over = False  # to the hub, which releases it when the stream leaves
        self._limits = limits
        self._group = group
        self._in_use = True
        self._is_stream = False

    def admit_stream(self, *, browser: bool) -> int | None:
        """Count as a new stream; where a limit is reached, do as `Limits.reject` instead. None: admitted."""
        reason = self._limits.enter(self._group, self.grant, connects=True)
        self._is_stream = reason is None
        return self._limits.reject(reason, browser=browser) if reason else None

    def admit_waiting(self) -> None:
        """Count as a stream that isn't new: as a request that waits. Raises Problem as `Limits.reject`."""
        reason = self._limits.enter(self._group, self.grant, connects=False)
        self._is_stream = reason is None
        if reason:
            self._limits.reject(reason, browser=False)

    @property
    def is_revoked(self) -> bool:
        """Whether its stream is to end, since the token was revoked or lost the scope."""
        return self.grant is not None and not self.grant.may_stream

    def release(self) -> None:
        """Give the slot back. Idempotent."""
        if self._in_use:
            self._in_use = False
            self._limits.requests -= 1
            if self._is_stream:
                self._limits.vacate(self._group, self.grant)


class Admission:
    """ASGI middleware that gives each request a slot, as `scope[SLOT]`, and releases it when the response ends."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request in a slot."""
        client = scope.get("client")
        slot = scope[SLOT] = Slot(self._limits, client and group_of(client[0]))
        try:
            await self._app(scope, receive, send)
        finally:
            if not slot.is_handed_over:
                slot.release()
