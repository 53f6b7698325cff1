"""The open streams of a hub by what they get: live, live with `sources` events, or lagging behind."""

from collections.abc import Iterator

from btc_price_tracker.fanout.stream import Lag, Stream


class Members:
    """Every open stream is in exactly one of three groups, in the order in which it came there."""

    def __init__(self) -> None:
        self.live: dict[Stream, None] = {}  # a set that keeps its order
        self.live_with_sources: dict[Stream, None] = {}  # those that asked for `sources` events
        self.lagging: dict[Stream, Lag] = {}

    def __len__(self) -> int:
        return len(self.live) + len(self.live_with_sources) + len(self.lagging)

    def __iter__(self) -> Iterator[Stream]:
        """Iterate over a copy: streams may leave meanwhile."""
        return iter([*self.live, *self.live_with_sources, *self.lagging])

    def is_live(self, stream: Stream) -> bool:
        """Whether a stream has everything."""
        return stream in self.live or stream in self.live_with_sources

    def add(self, stream: Stream, lag: Lag) -> None:
        """Add a new stream, which lags until it has caught up."""
        stream.lag = self.lagging[stream] = lag

    def fall_behind(self, stream: Stream, lag: Lag) -> None:
        """Make a live stream lag."""
        del self._group_of(lag)[stream]
        self.add(stream, lag)

    def catch_up(self, stream: Stream) -> None:
        """Make a lagging stream live."""
        lag = self.lagging.pop(stream)
        stream.lag = None
        self._group_of(lag)[stream] = None

    def discard(self, stream: Stream) -> None:
        """Remove a stream, if it is there."""
        self.live.pop(stream, None)
        self.live_with_sources.pop(stream, None)
        self.lagging.pop(stream, None)

    def __contains__(self, stream: Stream) -> bool:
        """Whether a stream is open."""
        return self.is_live(stream) or stream in self.lagging

    def _group_of(self, lag: Lag) -> dict[Stream, None]:
        return self.live if lag.sources is None else self.live_with_sources
