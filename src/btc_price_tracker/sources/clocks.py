"""The sources' clocks beside ours, by the `Date` of their replies: what tells an old reply from a wrong clock.

Each is kept as how far it is ahead of our monotonic clock, which stands for it between two replies: our wall clock
may be set meanwhile.
"""

from collections.abc import Mapping
from statistics import median_high
from typing import NamedTuple

from msgspec.structs import replace

from btc_price_tracker.clock import Clock
from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources.headers import age, source_time

TOLERANCE = 30_000  # ms by which a reply's Date may be behind the clocks without being old for it


class Reception(NamedTuple):
    """When a reply came, and what its headers say about how old it was then."""

    at: int  # ms since the epoch
    held: int  # ms that caches held it, by its Age
    ahead: int | None  # ms by which the clock that it shows is ahead of our monotonic one


class Clocks:
    """What the sources' clocks said last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead: dict[str, int] = {}

    def receive(self, source: str, headers: Mapping[str, str]) -> Reception:
        """Take note of a reply that comes now."""
        time = source_time(headers)
        ahead = None if time is None else self._ahead_at(time)
        if ahead is not None:
            self._ahead[source] = ahead
        return Reception(self._clock.now(), age(headers) * 1000, ahead)

    def offset(self, source: str) -> int | None:
        """How far our wall clock is ahead of the source's, in ms; None where no reply of it bore a Date."""
        ahead = self._ahead.get(source)
        return None if ahead is None else self._ours() - ahead

    def dated(self, quote: Quote, reply: Reception) -> Quote:
        """A quote without a time of its own, dated by how old its reply was (RFC 9111 4.2.3), if that was old."""
        old = reply.held + (0 if reply.ahead is None else self._behind(reply.ahead))
        return replace(quote, time=max(reply.at - old, 0)) if old and quote.time is None else quote

    def _behind(self, ahead: int) -> int:
        """How far a clock is behind what most of them say, ours included, in ms; 0 within the tolerance.

        Between two middle ones the later counts: an old reply must not look fresh.
        """
        behind = median_high([*self._ahead.values(), self._ours()]) - ahead
        return behind if behind > TOLERANCE else 0

    def _ours(self) -> int:
        return self._ahead_at(self._clock.now())

    def _ahead_at(self, time: int) -> int:
        return time - round(self._clock.monotonic() * 1000)
