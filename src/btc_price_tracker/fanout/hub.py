"""The open streams of this instance: joining, broadcasting, laggards, heartbeats, the end.

How a broadcast stays in order without a lock. Frames wait in `_outbox`; a round takes all of them as one payload,
moves `_head` to the newest id among them, and writes the payload to every stream that was live when the round began,
a slice at a time so that the loop keeps answering. Whoever joins or catches up gets the ring up to `_head` and is live
only for later rounds. So every stream gets every frame once, whatever happens between two slices.

A stream that can't take a whole payload lags: it keeps the rest and its position and gets nothing more until the kernel
has room; then it reads on from the ring. It costs the others nothing. Nothing in this file awaits between looking at
the ring and adding to the live streams.
"""

import asyncio
import random

import structlog

from btc_price_tracker.clock import Clock
from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.fanout.stream import Lag, Stream
from btc_price_tracker.price.model import Judged, Status, Tick, Update

SLICE = 1000  # streams written to before the loop gets a turn: about 10 ms
PAGE = 128  # frames replayed in one write: about 25 KB, the memory of one client that reads none of it
STALL = 30.0  # seconds without progress before a laggard is closed

log = structlog.get_logger(__name__)


def farewell(crowd: int = 0) -> bytes:
    """The last words to one stream of a crowd: a `retry:` by which at most 2,000 a second come back."""
    return sse.retry(random.randint(1000, 1000 + max(4000, crowd // 2)))


class Hub:
    """The streams of this instance. `join`, `publish` and `advance` never await."""

    def __init__(self, ring: Ring, clock: Clock, heartbeat: float, latest: Tick | None = None) -> None:
        self.latest = latest  # price, published or restored with the ring
        self.status = Status.STALE
        self.reason = "No price yet: the sources are being asked."
        self.quotes: tuple[Judged, ...] = ()  # what became of every source in the last round
        self.draining = False
        # These only grow, for metrics.
        self.published = 0  # prices
        self.joined = 0  # streams
        self.stalled = 0  # streams that were closed because they took nothing
        self.failed = 0  # streams that were closed because of a bug
        self.writes = 0  # broadcasts, times the streams of each
        self._ring = ring
        self._clock = clock
        self.heartbeat = heartbeat  # seconds of silence before one
        self._logged: set[type[Exception]] = set()  # exception types whose traceback was logged
        self._live: dict[Stream, None] = {}  # a set that keeps its order
        self._lagging: dict[Stream, Lag] = {}
        self._outbox: list[bytes] = []
        self._broadcasting = False
        self._round: list[Stream] = []  # who was live when it began; who has left since takes no more
        self._reached = 0  # how many of them it has done
        self._payload = b""
        self._head = ring.last
        self._status_frame = self._said = self._frame_of_status()
        self._spoke = clock.monotonic()

    def __len__(self) -> int:
        return len(self._live) + len(self._lagging)

    @property
    def lagging(self) -> int:
        """How many streams wait for room."""
        return len(self._lagging)

    @property
    def head(self) -> int:
        """The newest id that live streams have been sent; 0 before the first."""
        return self._head

    @property
    def said(self) -> bytes:
        """The status frame that goes with `head`."""
        return self._said

    def now(self) -> int:
        """Milliseconds since the epoch, and never behind the newest price, though the clock may be set back."""
        return max(self._clock.now(), self._head)

    def outdated(self) -> bytes:
        """The current price as it stands now, where nothing fresh has followed it; none where it is as it was.

        After a restart, or once it isn't repeated any more, the ring still has it as sure and as young as it was.
        """
        tick = self.latest
        if self.status is not Status.STALE or tick is None or tick.id != self._head:
            return b""
        return sse.price(tick.outdated(self._clock.now()))

    # Publishing

    def publish(self, update: Update) -> None:
        """Give an update to every stream: the status if it changed, then the price."""
        self.quotes = update.quotes
        if (update.status, update.reason) != (self.status, self.reason):
            self.status, self.reason = update.status, update.reason
            self._status_frame = self._frame_of_status()
            self._outbox.append(self._status_frame)
        if update.tick is not None:
            self.latest = update.tick
            self.published += 1
            frame = sse.price(update.tick)
            self._ring.append(update.tick.id, frame)
            self._outbox.append(frame)
        self._begin_round()

    def _frame_of_status(self) -> bytes:
        return sse.status(self.status, self.reason, self._clock.now() // 1000)

    def _begin_round(self) -> None:
        if self._broadcasting or not self._outbox:
            return
        # What may raise comes first and changes nothing.
        payload, live, now = b"".join(self._outbox), list(self._live), self._clock.monotonic()
        self._broadcasting = True
        self._outbox.clear()
        self._payload, self._round, self._reached = payload, live, 0
        self._head = self._ring.last
        self._said = self._status_frame
        self._spoke = now
        self.writes += len(live)
        self._write_slice()

    def _write_slice(self) -> None:
        payload, size = self._payload, len(self._payload)
        begin, self._reached = self._reached, self._reached + SLICE
        for stream in self._round[begin : self._reached]:
            try:
                try:
                    sent = stream.send(payload)
                except BlockingIOError:
                    sent = 0
                if sent < size:
                    self._fall_behind(stream, payload[sent:])
            except OSError:
                self.leave(stream)
            except Exception as error:  # noqa: BLE001 - a bug in one stream must not affect the others
                self._fail(stream, error)
        if self._reached < len(self._round):
            asyncio.get_running_loop().call_soon(self._write_slice)
        else:
            self._round = []
            self._broadcasting = False
            self._begin_round()

    # Joining and lagging

    def join(self, stream: Stream, after: int, opening: bytes = b"", told: bytes = b"") -> None:
        """Send `opening`, the status unless it is the frame `told`, every price after `after`, then live: in one step.

        What the ring has lost by now is said with a `gap` event.
        """
        self.joined += 1
        if told != self._said:
            opening += self._said
        after, page = self._replay(after)
        stream.lag = self._lagging[stream] = Lag(after, opening + page, self._said, self._clock.monotonic())
        self.advance(stream)

    def advance(self, stream: Stream) -> None:
        """Write on where a laggard stopped; make it live once it has everything."""
        lag = self._lagging.get(stream)
        if lag is None:
            return
        try:
            self._write_on(stream, lag)
        except OSError:
            self.leave(stream)
        except Exception as error:  # noqa: BLE001 - as in _write_slice
            self._fail(stream, error)

    def _write_on(self, stream: Stream, lag: Lag) -> None:
        while self._load(lag):
            try:
                sent = stream.send(lag.pending)
            except BlockingIOError:
                sent = 0
            if sent:
                lag.pending = lag.pending[sent:]
                lag.moved = self._clock.monotonic()
            if lag.pending:
                self._wait_for_room(stream, lag)
                return
        self._catch_up(stream, lag)

    def leave(self, stream: Stream) -> None:
        """Close a stream and forget it. Idempotent; never raises."""
        self._live.pop(stream, None)
        self._lagging.pop(stream, None)
        try:
            stream.close()
        except Exception as error:  # noqa: BLE001 - the hub has forgotten it already
            self._log_bug(error)

    def _fail(self, stream: Stream, error: Exception) -> None:
        """Close a stream that raised an unexpected exception; its client resumes by id."""
        self.failed += 1
        self._log_bug(error)
        self.leave(stream)

    def _log_bug(self, error: Exception) -> None:
        """Log the traceback of the first exception of each type; `failed` counts all."""
        if type(error) not in self._logged:
            self._logged.add(type(error))
            log.error("stream failed", exc_info=error)

    def _fall_behind(self, stream: Stream, pending: bytes) -> None:
        del self._live[stream]
        lag = stream.lag = self._lagging[stream] = Lag(
            self._head, pending, self._said, self._clock.monotonic()
        )
        self._wait_for_room(stream, lag)

    def _wait_for_room(self, stream: Stream, lag: Lag) -> None:
        if not lag.waiting:
            lag.waiting = True
            stream.want_room(True)

    def _catch_up(self, stream: Stream, lag: Lag) -> None:
        if lag.waiting:
            stream.want_room(False)
        stream.lag = None
        del self._lagging[stream]
        self._live[stream] = None

    def _load(self, lag: Lag) -> bool:
        """Give a laggard its next bytes, if it has none; False once it has everything that live streams have."""
        if not lag.pending and lag.after < self._head:
            lag.after, lag.pending = self._replay(lag.after)
        if not lag.pending and lag.told is not self._said:
            lag.pending = lag.told = self._said
        return bool(lag.pending)

    def _replay(self, after: int) -> tuple[int, bytes]:
        """The next page of the ring after a position, led by a gap where the ring has lost some, and its last id."""
        lost = b""
        if after < self._ring.floor:
            lost = sse.gap(after + 1, self._ring.floor)
            after = self._ring.floor
        after, page = self._ring.page(after, self._head, PAGE)
        return after, lost + page

    # Time

    async def watch(self) -> None:
        """Once a second: close what stalls, and break a long silence. Runs for as long as the hub."""
        while True:
            await self._clock.sleep(1)
            now = self._clock.monotonic()
            for stream in [stream for stream, lag in self._lagging.items() if now - lag.moved >= STALL]:
                self.stalled += 1
                self.leave(stream)
            if now - self._spoke >= self.heartbeat and not self._broadcasting:
                self._outbox.append(sse.heartbeat(self._clock.now() // 1000))
                self._begin_round()

    async def drain(self, window: float) -> None:
        """End every stream, spread over `window` seconds: cleanly, with a `retry:` of its own; a laggard is cut off.

        The spread and the jitter keep the clients from coming back all at once.
        """
        self.draining = True
        everyone = [*self._live, *self._lagging]
        steps = max(1, int(window * 10))
        for step in range(steps):
            for stream in everyone[step::steps]:
                self._end(stream, farewell(len(everyone)))
            if everyone:
                await self._clock.sleep(window / steps)

    def _end(self, stream: Stream, last_words: bytes) -> None:
        try:
            if stream in self._live:
                stream.finish(last_words)
        except Exception as error:  # noqa: BLE001 - the other streams must end cleanly as well
            self._fail(stream, error)
        self.leave(stream)
