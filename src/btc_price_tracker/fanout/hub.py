"""The open streams of this instance: joining, broadcasting, laggards, heartbeats, the end.

How a broadcast stays in order without a lock. Frames wait in `_outbox`; a round takes all of them as one payload,
moves `_head` to the newest id among them, and writes the payload to every stream that was live when the round began,
a slice at a time so that the loop keeps answering. Whoever joins or catches up gets the ring up to `_head` and is live
only for later rounds. So every stream gets every frame once, whatever happens between two slices.

A stream that can't take a whole payload lags: it keeps the rest and its position and gets nothing more until the kernel
has room; then it reads on from the ring. It costs the others nothing. Nothing in this file awaits between looking at
the ring and adding to the live streams.

Streams that asked for `sources` events are a group of their own, served after the others: the same payload, with the
frame of the round's sources behind it. That frame is state and not history, so a laggard gets the newest one only.
"""

import asyncio
import random
from collections.abc import Callable

import structlog

from btc_price_tracker.clock import Clock
from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.fanout.stream import Lag, Stream
from btc_price_tracker.price.model import Status, Tick, Update

SLICE = 1000  # streams written to before the loop gets a turn: about 10 ms
PAGE = 128  # frames replayed in one write: about 25 KB, the memory of one client that reads none of it
STALL = 30.0  # seconds without progress before a laggard is closed

INITIAL = Update(Status.STALE, "No price yet: the sources are being polled.")

log = structlog.get_logger(__name__)


class Hub:
    """The streams of this instance. `join`, `publish` and `advance` never await."""

    def __init__(
        self,
        ring: Ring,
        clock: Clock,
        heartbeat: float,
        latest: Tick | None = None,
        update: Update = INITIAL,
    ) -> None:
        """Stand where `ring`, its `latest` tick and `update` are; send a heartbeat after so many seconds of silence."""
        self.update = update  # the last one
        self._latest = latest  # price, published or restored with the ring
        # Monotonic times: no step of the wall clock makes a price younger or older than it is.
        self._published_at = self._answered_at = clock.monotonic()
        if latest is not None:
            self._published_at -= max(clock.now() - latest.id, 0) / 1000
        self.describe_sources: Callable[[], bytes] = lambda: b"{}"  # what `/sources` says now, as JSON
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
        self._live_with_sources: dict[Stream, None] = {}  # those that asked for them; they are not in _live
        self._lagging: dict[Stream, Lag] = {}
        self._outbox: list[bytes] = []
        self._broadcasting = False
        self._round: list[Stream] = []  # who was live when it began; who has left since takes no more
        self._reached = 0  # how many of them it has done
        self._plain = 0  # how many of them did not ask for sources; they come first
        self._payload = b""
        self._payload_with_sources = b""
        self._updated = False  # whether an update waits for the next round
        self._sources_frame = b""  # of the last round, once a stream needs it
        self._head = ring.last
        self._status_frame = self._said = self._frame_of_status()
        self._spoke = clock.monotonic()

    def __len__(self) -> int:
        return len(self._live) + len(self._live_with_sources) + len(self._lagging)

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

    def sources(self) -> bytes:
        """The `sources` frame of the last round: encoded when the first stream needs it, for all of them."""
        if not self._sources_frame:
            try:
                self._sources_frame = sse.sources(self.describe_sources())
            except Exception as error:  # noqa: BLE001 - a bug there costs the sources, not the price
                self._log_bug(error)
        return self._sources_frame

    def now(self) -> int:
        """Milliseconds since the epoch, and never behind the newest price, though the clock may be set back."""
        return max(self._clock.now(), self._head)

    @property
    def latest(self) -> Tick | None:
        """The newest price as it stands now: it ages, and is stale where nothing fresh has followed it."""
        if self._latest is None:
            return None
        tick = self._latest.after(round((self._clock.monotonic() - self._published_at) * 1000))
        return tick.outdated() if self.status is Status.STALE else tick

    @property
    def status(self) -> Status:
        """The status of the last update."""
        return self.update.status

    @property
    def reason(self) -> str:
        """Why the status is what it is."""
        return self.update.reason

    @property
    def silence(self) -> float:
        """Seconds since any source answered, or since the start."""
        return self._clock.monotonic() - self._answered_at

    def outdated(self) -> bytes:
        """The current price as it stands now, where nothing fresh has followed it; none where it is as it was.

        After a restart, or once it isn't repeated any more, the ring still has it as sure and as young as it was.
        """
        tick = self.latest
        if self.status is not Status.STALE or tick is None or tick.id != self._head:
            return b""
        return sse.price(tick)

    # Publishing

    def publish(self, update: Update) -> None:
        """Give an update to every stream: the status if it changed, then the price.

        An update whose tick the ring has, or is past, is ignored: a broker may deliver one twice.
        """
        if update.tick is not None and update.tick.id <= self._ring.last:
            return
        if update.silence is not None:
            self._answered_at = self._clock.monotonic() - update.silence / 1000
        is_new_status = (update.status, update.reason) != (self.status, self.reason)
        self.update = update
        if is_new_status:
            self._status_frame = self._frame_of_status()
            self._outbox.append(self._status_frame)
        if update.tick is not None:
            frame = sse.price(update.tick)
            self._ring.append(update.tick.id, frame)
            self._outbox.append(frame)
            self.published += 1
            self._latest, self._published_at = update.tick, self._clock.monotonic()
        self._updated = True
        self._begin_round()

    def _frame_of_status(self) -> bytes:
        return sse.status(self.status, self.reason, self._clock.now() // 1000)

    def _begin_round(self) -> None:
        if self._broadcasting or not (self._outbox or self._updated):
            return
        # What may raise comes first and changes nothing.
        payload, now = b"".join(self._outbox), self._clock.monotonic()
        live = list(self._live) if payload else []
        self._broadcasting = True
        self._outbox.clear()
        self._payload, self._round, self._reached = payload, live, 0
        self._head = self._ring.last
        self._said = self._status_frame
        self._plain = len(live)
        self._add_sources()
        if payload:  # else only sources go out, which not every stream gets
            self._spoke = now
        self.writes += len(self._round)
        self._write_slice()

    def _add_sources(self) -> None:
        """Let the streams that asked for sources take part in the round."""
        sources = b""
        if self._updated:
            self._updated, self._sources_frame = False, b""
            if self._live_with_sources:
                sources = self.sources()
        self._payload_with_sources = self._payload + sources
        self._round += self._live_with_sources

    def _write_slice(self) -> None:
        begin = self._reached
        is_plain = begin < self._plain
        payload = self._payload if is_plain else self._payload_with_sources
        size = len(payload)
        self._reached = min(begin + SLICE, self._plain if is_plain else len(self._round))
        for stream in self._round[begin : self._reached]:
            try:
                try:
                    sent = stream.send(payload)
                except BlockingIOError:
                    sent = 0
                if sent < size:
                    self._fall_behind(stream, sent, with_sources=not is_plain)
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

    def join(
        self,
        stream: Stream,
        after: int,
        opening: bytes = b"",
        told: bytes = b"",
        sources: bytes | None = None,
    ) -> None:
        """Send `opening`, the status unless it is the frame `told`, every price after `after`, then live: in one step.

        What the ring has lost by now is said with a `gap` event. `sources` is the `sources` frame that the client has
        already, b"" for none, or None where it did not ask for them.
        """
        self.joined += 1
        if told != self._said:
            opening += self._said
        if sources is not None:
            opening += self.sources() if sources != self.sources() else b""
            sources = self.sources()
        after, page = self._replay(after)
        lag = Lag(after, opening + page, self._said, self._clock.monotonic(), sources)
        stream.lag = self._lagging[stream] = lag
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
        self._live_with_sources.pop(stream, None)
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

    def _fall_behind(self, stream: Stream, sent: int, *, with_sources: bool) -> None:
        pending, sources = self._payload[sent:], b"" if with_sources else None
        if sent > len(self._payload):  # amid the sources' frame, which must be finished
            pending, sources = self._payload_with_sources[sent:], self._sources_frame
        lag = Lag(self._head, pending, self._said, self._clock.monotonic(), sources)
        del self._group_of(lag)[stream]
        stream.lag = self._lagging[stream] = lag
        self._wait_for_room(stream, lag)

    def _group_of(self, lag: Lag) -> dict[Stream, None]:
        """The live streams that a laggard belongs to once it has everything."""
        return self._live if lag.sources is None else self._live_with_sources

    def _wait_for_room(self, stream: Stream, lag: Lag) -> None:
        if not lag.waiting:
            lag.waiting = True
            stream.want_room(True)

    def _catch_up(self, stream: Stream, lag: Lag) -> None:
        if lag.waiting:
            stream.want_room(False)
        stream.lag = None
        del self._lagging[stream]
        self._group_of(lag)[stream] = None

    def _load(self, lag: Lag) -> bool:
        """Give a laggard its next bytes, if it has none; False once it has everything that live streams have."""
        if not lag.pending and lag.after < self._head:
            lag.after, lag.pending = self._replay(lag.after)
        if not lag.pending and lag.told is not self._said:
            lag.pending = lag.told = self._said
        if not lag.pending and lag.sources is not None and lag.sources is not self.sources():
            lag.pending = lag.sources = self.sources()
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
                self._outbox.append(self._heartbeat())
                self._begin_round()

    async def drain(self, window: float) -> None:
        """End every stream, spread over `window` seconds: cleanly, with a `retry:` of its own; a laggard is cut off.

        The spread and the jitter keep the clients from coming back all at once.
        """
        self.draining = True
        everyone = [*self._live, *self._live_with_sources, *self._lagging]
        steps = max(1, int(window * 10))
        for step in range(steps):
            for stream in everyone[step::steps]:
                self._end(stream, self.final_retry(len(everyone)))
            if everyone:
                await self._clock.sleep(window / steps)

    def final_retry(self, crowd: int = 0) -> bytes:
        """The last words to one stream of a crowd: a `retry:` by which at most 2,000 a second come back.

        It comes with a heartbeat, the event that says least: see `sse.with_retry`.
        """
        wait = random.randint(1000, 1000 + max(4000, crowd // 2))  # ms
        return sse.with_retry(wait, self._heartbeat())

    def _heartbeat(self) -> bytes:
        return sse.heartbeat(self._clock.now() // 1000)

    def _end(self, stream: Stream, last_words: bytes) -> None:
        try:
            if stream in self._live or stream in self._live_with_sources:
                stream.finish(last_words)
        except Exception as error:  # noqa: BLE001 - the other streams must end cleanly as well
            self._fail(stream, error)
        self.leave(stream)
