"""The open streams of a hub: joining, catching up from the ring, leaving.

A stream that can't take a whole payload lags: it keeps the rest and its position and gets nothing more until the kernel
has room; then it reads on from the ring. It costs the others nothing. Nothing in this file awaits between reading the
ring and adding to the live streams.
"""

from dataclasses import dataclass

from btc_price_tracker.clock import Clock
from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.ages import Ages
from btc_price_tracker.fanout.broadcast import Broadcast
from btc_price_tracker.fanout.counts import UNKNOWN, Counts, Origin, Reason, Sums, reason_of
from btc_price_tracker.fanout.current import CurrentPrice
from btc_price_tracker.fanout.ledger import Ledger
from btc_price_tracker.fanout.members import Members
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.fanout.stream import Lag, Stream
from btc_price_tracker.price.model import Status, Tick, Update


@dataclass(frozen=True, slots=True)
class HubLimits:
    """What bounds the work of one step, and the time that a stream may lag."""

    slice: int = 100  # streams written to before the event loop runs again: 1 ms; a request takes four turns
    page: int = (
        128  # frames replayed in one write: about 25 KB, the memory of one client that reads none of it
    )
    stall_timeout: float = 30.0  # seconds without progress before a lagging stream is closed
    max_age: float = 0.0  # seconds after which, roughly, a stream is closed; 0 for never


DEFAULTS = HubLimits()


class Membership(CurrentPrice):
    """The streams of this instance, and how far each has got. No method awaits."""

    def __init__(
        self, ring: Ring, clock: Clock, latest: Tick | None, update: Update, limits: HubLimits
    ) -> None:
        super().__init__(clock, latest, update)
        self.limits = limits
        self.draining = False
        self._ledger = Ledger()
        self._ring = ring
        self._members = Members()
        self._ages = Ages(limits.max_age, clock.monotonic())
        self._head = ring.last
        self._floor = ring.floor  # of the ring when the last round began
        self._sent_status = self._newest_status

    def __len__(self) -> int:
        return len(self._members)

    @property
    def streams(self) -> list[Stream]:
        """Every open stream."""
        return list(self._members)

    @property
    def lagging(self) -> int:
        """Number of streams that wait for room."""
        return len(self._members.lagging)

    @property
    def lag(self) -> float:
        """Seconds between the newest price and the position of the stream that lags most; 0 if none does."""
        positions = [lag.behind for lag in self._members.lagging.values()]
        return max(self._head - max(min(positions), self._ring.first), 0) / 1000 if positions else 0.0

    @property
    def counts(self) -> Counts:
        """What is counted for metrics."""
        return self._ledger.counts

    @property
    def head(self) -> int:
        """The newest id that live streams have been sent; 0 before the first."""
        return self._head

    @property
    def newest(self) -> int:
        """The highest id that was published here or left to the store: new ones are above it."""
        return max(self._head, self._ring.last, self._ring.floor)

    @property
    def sent_status(self) -> bytes:
        """The status frame that live streams have been sent."""
        return self._sent_status

    def now(self) -> int:
        """Milliseconds since the epoch, and never behind the newest price, though the clock may be set back."""
        return max(self._clock.now(), self._head)

    @property
    def clock_behind(self) -> float:
        """Seconds by which the clock is behind the newest price; 0 if it is not."""
        return max(0, self._head - self._clock.now()) / 1000

    def outdated(self) -> bytes:
        """A frame of the current price with its present age and status if nothing fresh has followed it, else b"".

        After a restart, and once the price is no longer repeated, the frame in the ring is younger and more certain.
        """
        tick = self.latest
        if self.status is not Status.STALE or tick is None or tick.id != self._head:
            return b""
        return sse.price(tick)

    def join(
        self,
        stream: Stream,
        after: int,
        opening: bytes = b"",
        sent_status: bytes = b"",
        sources: bytes | None = None,
        origin: Origin = UNKNOWN,
    ) -> None:
        """Send `opening`, the status unless it is `sent_status`, every price after `after`, then live: in one step.

        A `gap` event covers what the ring no longer has. `sources` is the `sources` frame that the client has already,
        b"" for none, or None where it did not ask for such events.
        """
        now = self._clock.monotonic()
        depth = 0.0 if origin.resumed_from is None else max(self.now() - origin.resumed_from, 0) / 1000
        self._ledger.arrived(stream, opening, origin, now, depth)
        if sent_status != self._sent_status:
            opening += self._sent_status
        if sources is not None:
            opening += self.sources() if sources != self.sources() else b""
            sources = self.sources()
        behind = after
        after, page = self._replay(after)
        lag = Lag(after, opening + page, self._sent_status, now, sources, origin.sent, behind=behind)
        self._members.add(stream, lag)
        self._ages.add(stream, now)
        self.advance(stream)

    def advance(self, stream: Stream) -> None:
        """Write on where a lagging stream stopped; make it live once it has everything."""
        lag = self._members.lagging.get(stream)
        if lag is None:
            return
        try:
            self._write_on(stream, lag)
        except OSError as error:
            self.leave(stream, reason_of(error))
        except Exception as error:  # noqa: BLE001 - as in _write_slice
            self._fail(stream, error)

    def _write_on(self, stream: Stream, lag: Lag) -> None:
        while self._load(lag):
            try:
                sent = stream.send(lag.pending)
            except BlockingIOError:
                sent = 0
            if sent:
                before, lag.pending = lag.pending, lag.pending[sent:]
                lag.progressed_at = self._clock.monotonic()
                self._ledger.wrote(lag, before)
            if lag.pending:
                self._wait_for_room(stream, lag)
                return
        if lag.waits_for_room:
            stream.want_room(False)
        self._members.catch_up(stream)
        self._ledger.caught_up(stream, lag)

    def _fall_behind(self, stream: Stream, sent: int, broadcast: Broadcast, *, with_sources: bool) -> None:
        """Make a live stream lag that has taken only `sent` bytes of a broadcast."""
        pending, sources = broadcast.payload[sent:], b"" if with_sources else None
        if sent > len(broadcast.payload):  # amid the frame of the sources, which must be finished
            pending, sources = broadcast.payload_with_sources[sent:], self._sources_frame
        unsent = Sums.of((broadcast.payload_with_sources if with_sources else broadcast.payload)[sent:])
        total = self._ledger.fell_behind(stream, unsent, with_sources=with_sources)
        now = self._clock.monotonic()
        lag = Lag(self._head, pending, self._sent_status, now, sources, total, behind=broadcast.after)
        self._members.fall_behind(stream, lag)
        self._wait_for_room(stream, lag)

    def _wait_for_room(self, stream: Stream, lag: Lag) -> None:
        if not lag.waits_for_room:
            lag.waits_for_room = True
            stream.want_room(True)

    def _load(self, lag: Lag) -> bool:
        """Give a lagging stream its next bytes, if it has none; False once it has all that live streams have."""
        if not lag.pending and lag.after < self._head:
            lag.behind = lag.after
            lag.after, lag.pending = self._replay(lag.after)
        if not lag.pending and lag.sent_status is not self._sent_status:
            lag.pending = lag.sent_status = self._sent_status
        if not lag.pending and lag.sources is not None and lag.sources is not self.sources():
            lag.pending = lag.sources = self.sources()
        return bool(lag.pending)

    def _replay(self, after: int) -> tuple[int, bytes]:
        """The next page of the ring after an id, led by a gap for what the ring no longer has, and its last id."""
        gap = b""
        # What the ring has dropped since the last round began, and is newer than the head, comes with the next one.
        floor = min(self._ring.floor, max(self._floor, self._head))
        if after < floor:
            gap = sse.gap(after + 1, floor)
            self._ledger.counts.gaps += 1
            after = floor
        after, page = self._ring.page(after, self._head, self.limits.page)
        return after, gap + page

    def leave(self, stream: Stream, reason: Reason = Reason.CLIENT) -> None:
        """Close a stream, forget it and release its slot. Idempotent; never raises."""
        if stream in self._members:
            with_sources = stream in self._members.live_with_sources
            self._ledger.departed(stream, reason, self._clock.monotonic(), with_sources=with_sources)
        self._members.discard(stream)
        self._ages.discard(stream)
        try:
            stream.close()
        except Exception as error:  # noqa: BLE001 - the hub has forgotten it already
            self._log_bug(error)
        if stream.slot is not None:
            stream.slot.release()

    def abandon(self, origin: Origin, began: float, *, revoked: bool = False) -> None:
        """Count a stream that was opened at `began` (monotonic) and ended before it could join."""
        reason = Reason.DRAINED if self.draining else Reason.REVOKED if revoked else Reason.CLIENT
        self._ledger.abandoned(origin, reason, began, self._clock.monotonic())

    def _fail(self, stream: Stream, error: Exception) -> None:
        """Close a stream that raised an unexpected exception; its client resumes by id."""
        self._log_bug(error)
        self.leave(stream, Reason.ERROR)
