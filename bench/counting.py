"""What counting costs the fan-out: the same hub writes to the same sockets with its ledger and without, in turns."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from statistics import median
from typing import Any

from btc_price_tracker.clock import SystemClock
from btc_price_tracker.fanout.broadcast import Broadcast
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.ledger import Ledger
from btc_price_tracker.fanout.membership import HubLimits
from btc_price_tracker.fanout.reactor import Reactor
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Status, Tick, Update
from btc_price_tracker.telemetry import logs
from parts import Plan, Subjects
from table import Figure

STREAMS = 400
PRICES = 50  # in a turn: what the kernel buffers of each stream before it is read
TURNS = 40  # of each


class Uncounted(Ledger):
    """Counts nothing of a broadcast."""

    def began(self, broadcast: Broadcast) -> None:
        """Ignore it."""


class UncountedHub(Hub):
    """A hub that counts and measures nothing of a broadcast, but for two additions per slice."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ledger = Uncounted()

    def _measure(self, broadcast: Broadcast) -> None:
        """Measure nothing."""


async def counting(_: Plan, __: Subjects) -> list[Figure]:
    """The ratio of the CPU times, as the median of the turns; the log is that of `serve` with LOG_LEVEL=warning."""
    logs.configure("warning", "json")
    with _crowd(Hub) as counted, _crowd(UncountedHub) as uncounted:
        ratios = [await _turn(counted) / await _turn(uncounted) for _ in range(TURNS)]
    return [Figure("fan-out with metrics, by that without", median(ratios), 1.03, "×")]


class _Crowd:
    """A hub and the clients of its streams."""

    def __init__(self, kind: type[Hub]) -> None:
        self.hub = kind(Ring(1000), SystemClock(), 3600, limits=HubLimits(slice=STREAMS))
        self.reactor = Reactor(self.hub)
        pairs = [socket.socketpair() for _ in range(STREAMS)]
        self.clients = [client for _, client in pairs]
        for server, _ in pairs:
            server.setblocking(False)
            self.reactor.adopt(server.detach(), 0, b"")

    def read(self) -> None:
        for client in self.clients:
            client.recv(1 << 20)


@contextmanager
def _crowd(kind: type[Hub]) -> Iterator[_Crowd]:
    crowd = _Crowd(kind)
    try:
        yield crowd
    finally:
        crowd.reactor.close()
        for client in crowd.clients:
            client.close()


async def _turn(crowd: _Crowd) -> float:
    """Seconds of CPU that a few prices take."""
    now = max(crowd.hub.now(), crowd.hub.newest)
    ticks = [_tick(now + number) for number in range(1, PRICES + 1)]
    before = time.process_time()
    for tick in ticks:
        crowd.hub.publish(Update(Status.OK, "3 exchanges agree.", tick))
    await asyncio.sleep(0)  # each was written at once: they are fewer streams than a slice has
    spent = time.process_time() - before
    crowd.read()
    return spent


def _tick(tick_id: int) -> Tick:
    return Tick(tick_id, Decimal("69420.25"), Status.OK, 3, Decimal("3.10"), 0, "vote3-ped/2")
