"""Rates of events, of all and of each address: token buckets that hold one second's worth.

As the generic cell rate algorithm keeps them, in one number each: the time at which the bucket is full again. That is
at most a second ahead, so an address that was quiet for a second needs no entry.
"""

from collections.abc import Callable, Hashable
from typing import NamedTuple

MAX_ENTRIES = 16_384  # more addresses than this process can serve in a second


class Verdict(NamedTuple):
    """Whether an event is within its rate, and what is left."""

    admitted: bool
    remaining: int  # further events admitted at once
    wait: float  # seconds until the next is admitted, where this one isn't
    full_after: float  # seconds until the bucket is full


UNLIMITED = Verdict(True, 0, 0.0, 0.0)


class Rates:
    """A bucket for each key, in bounded memory: two generations of at most `max_entries`.

    A generation lasts a second, and the one before it is forgotten, with buckets that are full again. If more keys than
    `max_entries` act within a second, buckets are forgotten that aren't: who acts from so many addresses gets his burst
    again, up to the limits that all addresses share.
    """

    def __init__(
        self, per_second: int, monotonic: Callable[[], float], max_entries: int = MAX_ENTRIES
    ) -> None:
        """Admit `per_second` events of each key, and as many at once; 0: no limit."""
        self.per_second = per_second
        self._spacing = 1 / per_second if per_second else 0.0
        self._monotonic = monotonic
        self._max_entries = max_entries
        self._new: dict[Hashable, float] = {}
        self._old: dict[Hashable, float] = {}
        self._rotated_at = monotonic()

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def take(self, key: Hashable) -> Verdict:
        """Count an event of `key` if it is admitted."""
        if not self.per_second:
            return UNLIMITED
        now = self._monotonic()
        if now - self._rotated_at >= 1 or len(self._new) >= self._max_entries:
            self._new, self._old, self._rotated_at = {}, self._new, now
        full_at = self._new.get(key) or self._old.get(key, 0.0)
        ahead = max(full_at - now, 0.0)
        excess = ahead + self._spacing - 1
        if excess > 1e-9:  # of floats
            return Verdict(False, 0, excess, ahead)
        ahead += self._spacing
        self._new[key] = now + ahead
        return Verdict(True, int((1 - ahead) * self.per_second + 1e-6), 0.0, ahead)
