"""One payload on its way to the streams that were live when its round began, a slice at a time."""

from collections.abc import Iterable

from btc_price_tracker.fanout.counts import Sums
from btc_price_tracker.fanout.stream import Stream


class Broadcast:
    """The streams without `sources` events come first; the others get the frame of the sources as well."""

    __slots__ = (
        "_plain",
        "_reached",
        "_streams",
        "after",
        "began",
        "payload",
        "payload_with_sources",
        "sums",
        "sums_with_sources",
    )

    def __init__(
        self,
        payload: bytes,
        sources: bytes,
        plain: Iterable[Stream],
        with_sources: Iterable[Stream],
        began: float,
        after: int,
    ) -> None:
        self.after = after  # the id before its prices
        self.began = began  # monotonic
        self.payload = payload
        self.payload_with_sources = payload + sources
        self.sums = Sums.of(payload)
        self.sums_with_sources = self.sums.plus(Sums.of(sources))
        self._streams = list(plain)
        self._plain = len(self._streams)
        self._streams += with_sources
        self._reached = 0  # number of streams that have been written to

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def is_done(self) -> bool:
        """Whether every stream has been written to."""
        return self._reached >= len(self._streams)

    def next_slice(self, size: int) -> tuple[list[Stream], bool]:
        """At most `size` more streams that get the same payload, and whether it is the one with sources."""
        begin, plain = self._reached, self._plain
        with_sources = begin >= plain
        self._reached = min(begin + size, len(self._streams) if with_sources else plain)
        return self._streams[begin : self._reached], with_sources
