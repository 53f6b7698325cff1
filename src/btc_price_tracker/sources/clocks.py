"""Compare the sources' clocks with ours, by the `Date` of their responses: an old response or a wrong clock?

Each is kept as its offset from our monotonic clock, since our wall clock may be set between two responses.
"""

from collections.abc import Mapping
from statistics import median_high
from typing import NamedTuple

from msgspec.structs import replace

from btc_price_tracker.clock import Clock
from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources.headers import age, source_time

TOLERANCE = 30_000  # ms by which a response's Date may be behind the clocks before it counts as old


class Reception(NamedTuple):
    """When a response was received, and its age then according to its headers."""

    at: int  # ms since the epoch
    held: int  # ms that caches held it, from its Age
    ahead: int | None  # ms by which its Date is ahead of our monotonic clock


class Clocks:
    """The offset of each source's clock, from its last response."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead: dict[str, int] = {}

    def receive(self, source: str, headers: Mapping[str, str]) -> Reception:
        """Record a response that is received now."""
        time = source_time(headers)
        ahead = None if time is None else self._ahead_at(time)
        if ahead is not None:
            self._ahead[source] = ahead
        return Reception(self._clock.now(), age(headers) * 1000, ahead)

    def offset(self, source: str) -> int | None:
        """Return the ms by which our wall clock is ahead of the source's; None if no response had a Date."""
        ahead = self._ahead.get(source)
        return None if ahead is None else self._ours() - ahead

    def dated(self, quote: Quote, reception: Reception) -> Quote:
        """Give a quote without its own time that of its response if that was old (RFC 9111 4.2.3)."""
        old = reception.held + (0 if reception.ahead is None else self._behind(reception.ahead))
        return replace(quote, time=max(reception.at - old, 0)) if old and quote.time is None else quote

    def _behind(self, ahead: int) -> int:
        """Return the ms by which a clock is behind the median of all, ours included; 0 within the tolerance.

        Of two middle ones the later counts: an old response must not look fresh.
        """
        behind = median_high([*self._ahead.values(), self._ours()]) - ahead
        return behind if behind > TOLERANCE else 0

    def _ours(self) -> int:
        return self._ahead_at(self._clock.now())

    def _ahead_at(self, time: int) -> int:
        return time - round(self._clock.monotonic() * 1000)
