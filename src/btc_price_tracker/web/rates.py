"""Rates of events, of all and of each address: token buckets that hold one second's worth.

As the generic cell rate algorithm keeps them, in one number each: the time at which the bucket is full again. That is
at most a second ahead, so an address that was quiet for a second needs no entry.
"""

from collections.abc import Hashable

MAX_ENTRIES = 16_384  # more addresses than this process can serve in a second
_ROUNDING = 1e-6  # seconds, or events


class Rates:
    """A bucket for each key, in bounded memory: two generations of at most `max_entries`.

    A generation lasts a second, and the one before it is forgotten, with buckets that are full again. If more keys than
    `max_entries` act within a second, buckets are forgotten that aren't: who acts from so many addresses gets his burst
    again, up to the limits that all addresses share.
    """

    def __init__(self, per_second: int, max_entries: int = MAX_ENTRIES) -> None:
        """Admit `per_second` events of each key, and as many at once; 0: no limit."""
        self.per_second = per_second
        self._spacing = 1 / per_second if per_second else 0.0
        self._max_ahead = 1 - self._spacing + _ROUNDING
        self._max_entries = max_entries
        self._new: dict[Hashable, float] = {}
        self._old: dict[Hashable, float] = {}
        self._rotate_at = 0.0

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def take(self, key: Hashable, now: float) -> float:
        """Count an event of `key` at `now` (monotonic); 0, or how many seconds it is too early, and doesn't count."""
        if not self.per_second:
            return 0.0
        if now >= self._rotate_at or len(self._new) >= self._max_entries:
            self._new, self._old, self._rotate_at = {}, self._new, now + 1
        full_at = self._new.get(key) or self._old.get(key, now)
        if full_at - now > self._max_ahead:
            return full_at - now - self._max_ahead + _ROUNDING
        self._new[key] = max(full_at, now) + self._spacing
        return 0.0

    def full_after(self, key: Hashable, now: float) -> float:
        """Seconds until the bucket of `key` is full."""
        return max((self._new.get(key) or self._old.get(key, now)) - now, 0.0)

    def remaining(self, full_after: float) -> int:
        """Events that a bucket has which is full after so many seconds."""
        return max(int((1 - full_after) * self.per_second + _ROUNDING), 0)
