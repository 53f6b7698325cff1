"""The limit of connections that follows from the limit of open files, and eviction of idle ones at that limit.

One that is still sending the head of a request counts as idle: that is what an attacker holds.
"""

import heapq
from collections.abc import Callable, Collection
from typing import Any

import structlog

from btc_price_tracker.web.server.connection import Connection

RESERVED = 128  # descriptors for the sources, the store and the log; at most a quarter of the limit
EVICTED = 64  # idle connections closed at once; at most a sixteenth of the limit
LOG_INTERVAL = 60.0  # seconds below the limit before reaching it is logged again

log = structlog.get_logger(__name__)


class Capacity:
    """Counts the connections of a server against the limit of open files.

    At the limit the oldest idle ones are closed. If none is idle, the server stops accepting and new clients wait in
    the kernel's backlog: without descriptors the process could neither poll its sources nor write to its store.
    """

    def __init__(self, connections: Collection[Any], detached: Callable[[], int], files: int) -> None:
        """`connections` are the server's, `detached` returns the number of streams that have left it."""
        self._files = files
        self.most = self._files - min(RESERVED, self._files // 4)
        self._connections = connections
        self._detached = detached
        self._full_at = -LOG_INTERVAL  # loop time at which it was last full

    @property
    def full(self) -> bool:
        """Whether one more connection would use the reserve."""
        return len(self._connections) + self._detached() >= self.most

    def make_room(self, now: float) -> bool:
        """Close the oldest idle connections at `now` (loop time); returns whether there were any."""
        self._log_limit(now)
        idle: list[Connection] = [each for each in self._connections if each.is_idle]
        number = max(1, min(EVICTED, self.most // 16))
        for connection in heapq.nsmallest(number, idle, key=lambda each: each.idle_since):
            connection.transport.close()
        return bool(idle)

    def _log_limit(self, now: float) -> None:
        if now - self._full_at >= LOG_INTERVAL:
            log.warning(
                "connection limit reached",
                connections=self.most,
                open_file_limit=self._files,
                effect="idle connections are closed, new ones wait",
                remedy="raise the limit of open files: ulimit -n, or LimitNOFILE= in systemd",
            )
        self._full_at = now
