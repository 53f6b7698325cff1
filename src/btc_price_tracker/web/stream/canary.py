"""A stream that the instance reads itself, to see that prices reach clients.

It comes over a pair of sockets, through the same hub and reactor as every other, and takes no client's place: it
neither counts towards MAX_CLIENTS nor depends on HOST, a proxy or a balancer between instances.
"""

import asyncio
import contextlib
import socket

from btc_price_tracker.clock import Clock
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.reactor import Reactor
from btc_price_tracker.web.stream.fallback import Mailbox
from btc_price_tracker.web.stream.start import greeting

RETRY = 1.0  # seconds until it is opened again


class Canary:
    """The stream, and when it was last read from."""

    def __init__(self, hub: Hub, reactor: Reactor | None, clock: Clock) -> None:
        """Without a reactor, it comes as the streams do that stay with the HTTP server."""
        self.opened = 0  # times, for metrics
        self.is_open = False
        self._hub = hub
        self._reactor = reactor
        self._clock = clock
        self._started_at: float | None = None  # monotonic time; None where it isn't watched
        self._read_at: float | None = None

    @property
    def age(self) -> float | None:
        """Seconds since something was read; None before."""
        return None if self._read_at is None else self._clock.monotonic() - self._read_at

    @property
    def silence(self) -> float:
        """Seconds since something was read, or since the beginning; 0 where no one watches."""
        since = self._started_at if self._read_at is None else self._read_at
        return 0.0 if since is None else self._clock.monotonic() - since

    async def watch(self) -> None:
        """Keep the stream open and read it. Runs for as long as the service."""
        self._started_at = self._clock.monotonic()
        while not self._hub.draining:
            self.opened += 1
            self.is_open = True
            try:
                with contextlib.suppress(OSError):  # no descriptor is left, say: the silence shows it
                    await (
                        self._read_mailbox() if self._reactor is None else self._read_socket(self._reactor)
                    )
            finally:
                self.is_open = False
            await self._clock.sleep(RETRY)

    async def _read_socket(self, reactor: Reactor) -> None:
        ours, theirs = socket.socketpair()
        with ours:
            for end in (ours, theirs):
                end.setblocking(False)
            reactor.adopt(theirs.detach(), self._hub.head, greeting(self._hub), self._hub.sent_status)
            loop = asyncio.get_running_loop()
            while await loop.sock_recv(ours, 65536):
                self._read_at = self._clock.monotonic()

    async def _read_mailbox(self) -> None:
        mailbox = Mailbox(self._hub, None, lambda: None)
        try:
            self._hub.join(mailbox, self._hub.head, greeting(self._hub), self._hub.sent_status)
            while await mailbox.take():
                self._read_at = self._clock.monotonic()
        finally:
            self._hub.leave(mailbox)
