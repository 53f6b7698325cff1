"""Who gets a stream when the house is full: whoever is in stays, a newcomer is told to come back."""

import random

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.web.problems import Problem


class StreamLimit:
    """Keeps the number of open streams within `most` (0: no limit). A context for those under way to the hub."""

    def __init__(self, hub: Hub, most: int) -> None:
        self._hub = hub
        self._most = most
        self._entering = 0  # streams under way to the hub
        self.refused = 0  # newcomers turned away

    @property
    def full(self) -> bool:
        """Whether a newcomer must wait."""
        return self._hub.draining or 0 < self._most <= len(self._hub) + self._entering

    def __enter__(self) -> None:
        """Count a stream until the hub does."""
        self._entering += 1

    def __exit__(self, *_: object) -> None:
        """The hub counts it, or it is gone."""
        self._entering -= 1

    def turn_away(self, *, browser: bool) -> int:
        """Milliseconds after which a browser should come back, jittered so that a crowd doesn't return as one.

        Raises Problem (503 with Retry-After) for everyone else. A browser's EventSource never retries after an error
        status, so it must get a 200.
        """
        self.refused += 1
        milliseconds = random.randint(10_000, 30_000)
        if not browser:
            seconds = str(milliseconds // 1000)
            why = "This server is shutting down" if self._hub.draining else "Every place is taken"
            raise Problem(503, f"{why}; come back in {seconds} s.", {"Retry-After": seconds})
        return milliseconds
