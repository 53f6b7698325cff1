"""Keeps account of the streams of a hub: when each began, and what it was sent until it ended."""

from btc_price_tracker.fanout.broadcast import Broadcast
from btc_price_tracker.fanout.counts import GAP, NOTHING, Counts, Origin, Reason, Record, Sums
from btc_price_tracker.fanout.endings import Endings
from btc_price_tracker.fanout.stream import Lag, Stream


class Ledger:
    """The hub says what happens. All times are monotonic."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.endings = Endings()
        # What a stream has been sent that has been live since the start: a plain one, one with `sources` events.
        self._plain = self._with_sources = NOTHING
        self._request_ids: dict[Stream, str] = {}  # of the few streams that have one of the client's

    def arrived(self, stream: Stream, opening: bytes, origin: Origin, now: float, depth: float) -> None:
        """A stream joined, with these first frames; the id that it came with, if any, is `depth` seconds old."""
        stream.record = Record(now, origin.stream_id, origin.resumed_from, NOTHING).pack()
        if origin.request_id is not None:
            self._request_ids[stream] = origin.request_id
        self.counts.joined += 1
        self.counts.gaps += opening.count(GAP)
        if origin.resumed_from is not None:
            self.counts.resumed += 1
            self.counts.depths.observe(depth)

    def began(self, broadcast: Broadcast) -> None:
        """All live streams are about to be sent a broadcast."""
        self._plain = self._plain.plus(broadcast.sums)
        self._with_sources = self._with_sources.plus(broadcast.sums_with_sources)
        self.counts.gaps += broadcast.payload.count(GAP) * len(broadcast)

    def fell_behind(self, stream: Stream, unsent: Sums, *, with_sources: bool) -> Sums:
        """A live stream did not take all of a broadcast; returns what it has been sent since it began."""
        self.counts.sent(NOTHING.minus(unsent))
        self.counts.fallen_behind += 1
        return self._sent_live(stream, with_sources=with_sources).minus(unsent)

    def wrote(self, lag: Lag, before: bytes) -> None:
        """A lagging stream was sent what `before` has more than is pending now."""
        sums = Sums.of(before)
        if lag.pending:
            sums = sums.minus(Sums.of(lag.pending))
        lag.sent = lag.sent.plus(sums)
        self.counts.sent(sums)

    def caught_up(self, stream: Stream, lag: Lag) -> None:
        """A lagging stream is live."""
        record = Record.unpack(stream.record)
        group = self._plain if lag.sources is None else self._with_sources
        stream.record = record._replace(sent=lag.sent.minus(group)).pack()

    def abandoned(self, origin: Origin, reason: Reason, began: float, now: float) -> None:
        """A stream ended before it could join."""
        self.counts.abandoned += 1
        record = Record(began, origin.stream_id, origin.resumed_from, NOTHING)
        self._ended(record, origin.request_id, reason, origin.sent, now)

    def departed(self, stream: Stream, reason: Reason, now: float, *, with_sources: bool) -> None:
        """A stream is about to leave.

        What is being broadcast counts as sent to a live one, though it may not have been reached.
        """
        record = Record.unpack(stream.record)
        sent = stream.lag.sent if stream.lag else self._sent_live(stream, with_sources=with_sources)
        self._ended(record, self._request_ids.pop(stream, None), reason, sent, now)

    def _ended(self, record: Record, request_id: str | None, reason: Reason, sent: Sums, now: float) -> None:
        self.counts.closed[reason] += 1
        self.counts.durations.observe(now - record.began)
        self.endings.record(record, request_id, reason, sent, now)

    def _sent_live(self, stream: Stream, *, with_sources: bool) -> Sums:
        """What a live stream has been sent since it began."""
        group = self._with_sources if with_sources else self._plain
        return Record.unpack(stream.record).sent.plus(group)
