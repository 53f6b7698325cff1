"""The recent ticks in memory, as frames, found by id."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable


class Ring:
    """The newest `size` frames in the order of their ids.

    Every frame ever appended with an id above `floor` is held.
    """

    def __init__(self, size: int, floor: int = 0, frames: Iterable[tuple[int, bytes]] = ()) -> None:
        """Hold these frames, at most `size` of them, by id and oldest first."""
        self.floor = floor
        self._size = size
        self._origin = floor
        self._has_evicted = False
        self._ids: list[int] = []
        self._frames: list[bytes] = []
        for tick_id, frame in frames:
            self._ids.append(tick_id)
            self._frames.append(frame)

    @property
    def first(self) -> int:
        """The oldest id held; 0 when empty."""
        return self._ids[0] if self._ids else 0

    @property
    def last(self) -> int:
        """The newest id held; 0 when empty."""
        return self._ids[-1] if self._ids else 0

    @property
    def store_only(self) -> int:
        """Ids up to this one were never in this ring: a price that the store doesn't have there was never published."""
        return self._origin if self._has_evicted else max(self._origin, self.first - 1)

    def lacks(self, tick_id: int) -> bool:
        """Whether this id is among those that the ring covers, and no price of theirs."""
        if not self.floor < tick_id <= self.last:
            return False
        return self._ids[bisect_left(self._ids, tick_id)] != tick_id

    def append(self, tick_id: int, frame: bytes) -> None:
        """Add a frame and evict the oldest if full; raises ValueError unless the id is greater than the last."""
        if tick_id <= self.last:
            raise ValueError(f"id {tick_id} does not follow {self.last}")
        self._ids.append(tick_id)
        self._frames.append(frame)
        if len(self._ids) > self._size:
            # Shifting the pointers takes 5 µs for 10,000 of them, 0.8 ms for a million, once a price.
            self.floor = self._ids.pop(0)
            del self._frames[0]
            self._has_evicted = True

    def clear(self, floor: int) -> None:
        """Leave every id up to `floor`, which is none below the last, to the store."""
        self._ids.clear()
        self._frames.clear()
        self.floor = self._origin = floor
        self._has_evicted = False

    def yield_to_store(self) -> None:
        """Leave ids before the first to the store: an import may have added some there."""
        self.floor = max(self.floor, self.first - 1)

    def page(self, after: int, until: int, limit: int) -> tuple[int, bytes]:
        """At most `limit` frames with after < id ≤ until, joined, and the last id among them (`after` if none)."""
        start = bisect_right(self._ids, after)
        end = min(bisect_right(self._ids, until), start + limit)
        if start >= end:
            return after, b""
        return self._ids[end - 1], b"".join(self._frames[start:end])
