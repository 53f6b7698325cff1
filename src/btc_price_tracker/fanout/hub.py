"""The hub: writes every update to the open streams of this instance, in order and without a lock.

Frames wait in `_outbox`. A round takes all of them as one payload, moves `head` to the newest id among them, and writes
the payload to every stream that was live when the round began, a slice at a time so that the event loop keeps running.
A stream that joins or catches up gets the ring up to `head` and is live only for later rounds. So every stream gets
every frame once, whatever happens between two slices.

A stream that can't take a whole payload lags: see membership.py.

Streams with `sources` events are a separate group, served after the others: the same payload, followed by the frame
of the round's sources. That frame is state and not history, so a lagging stream gets the newest one only.
"""

import asyncio
import random

import structlog

from btc_price_tracker.clock import Clock
from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.arrivals import Arrivals
from btc_price_tracker.fanout.broadcast import Broadcast
from btc_price_tracker.fanout.counts import Reason, Sums, reason_of
from btc_price_tracker.fanout.current import INITIAL
from btc_price_tracker.fanout.membership import DEFAULTS, HubLimits, Membership
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.fanout.spans import BroadcastSpans
from btc_price_tracker.fanout.stream import Stream
from btc_price_tracker.meters import trace_id_of
from btc_price_tracker.price.model import Tick, Update

log = structlog.get_logger(__name__)


class Hub(Membership):
    """The streams of this instance. `join`, `publish` and `advance` never await."""

    def __init__(
        self,
        ring: Ring,
        clock: Clock,
        heartbeat: float,
        latest: Tick | None = None,
        update: Update = INITIAL,
        limits: HubLimits = DEFAULTS,
        *,
        spans: BroadcastSpans | None = None,
    ) -> None:
        """Start from `ring`, its `latest` tick and `update`; send a heartbeat after `heartbeat` seconds of silence."""
        super().__init__(ring, clock, latest, update, limits)
        self.heartbeat = heartbeat
        self.arrivals = Arrivals()  # of prices; the beginning of the drain is announced as well
        self.spans = spans or BroadcastSpans()
        self.published = 0  # prices; only grows, for metrics
        self._outbox: list[bytes] = []
        self._unmeasured: Update | None = None  # the newest one with a price whose delivery is to be measured
        self._broadcast: Broadcast | None = None  # the round that is being written
        self._is_updated = False  # whether an update waits for the next round
        self._last_write = clock.monotonic()

    # Publishing

    def publish(self, update: Update) -> None:
        """Give an update to every stream: the status if it changed, then the price.

        An update whose tick the ring has, or is past, is ignored: a broker may deliver one twice.
        """
        if update.tick is not None and update.tick.id <= max(self._ring.last, self._ring.floor):
            return
        self.spans.arrived(update)
        if self._apply(update):
            self._outbox.append(self._newest_status)
        if update.tick is not None:
            frame = sse.price(update.tick)
            self._ring.append(update.tick.id, frame)
            self._outbox.append(frame)
            self.published += 1
            self._unmeasured = update
        self._is_updated = True
        self._begin_round()

    def rejoin(self, shared: int, until: int = 0) -> None:
        """Forget the prices after the id `shared`, which only this instance has published, and announce a gap.

        What other instances published meanwhile, up to the id `until` at least, is in the store; what follows here has
        ids above those forgotten.
        """
        newest = max(self.newest, until)
        self._ring.clear(newest, settled=shared)
        if newest > shared:
            self._outbox.append(sse.gap(shared + 1, newest))
            self._begin_round()

    def _begin_round(self) -> None:
        if self._broadcast is not None or not (self._outbox or self._is_updated):
            return
        # What may raise comes first and changes nothing.
        payload, now = b"".join(self._outbox), self._clock.monotonic()
        live = list(self._members.live) if payload else []
        self._outbox.clear()
        after, self._floor = self._head, self._ring.floor
        if self._ring.last > self._head:
            self._head = self._ring.last
            self.arrivals.announce()
        self._sent_status = self._newest_status
        if payload:  # else only sources go out, which not every stream gets
            self._last_write = now
        live_with_sources, sources = list(self._members.live_with_sources), b""
        if self._is_updated:
            self._is_updated, self._sources_frame = False, b""
            if live_with_sources:
                sources = self.sources()
        self._broadcast = broadcast = Broadcast(payload, sources, live, live_with_sources, now, after)
        self._ledger.began(broadcast)
        self.spans.round_began()
        self._write_slice(broadcast)

    def _write_slice(self, broadcast: Broadcast) -> None:
        streams, with_sources = broadcast.next_slice(self.limits.slice)
        payload = broadcast.payload_with_sources if with_sources else broadcast.payload
        size, events = broadcast.sums_with_sources if with_sources else broadcast.sums
        self.counts.size += size * len(streams)  # what has not been sent is subtracted below
        self.counts.events += events * len(streams)
        for stream in streams:
            try:
                try:
                    sent = stream.send(payload)
                except BlockingIOError:
                    sent = 0
                if sent < size:
                    self._fall_behind(stream, sent, broadcast, with_sources=with_sources)
            except OSError as error:
                self.counts.sent(Sums(-size, -events))
                self.leave(stream, reason_of(error))
            except Exception as error:  # noqa: BLE001 - a bug in one stream must not affect the others
                self._fail(stream, error)
        if broadcast.is_done:
            self._measure(broadcast)
            self.spans.round_ended(len(broadcast))
            self._broadcast = None
            self._begin_round()
        else:
            asyncio.get_running_loop().call_soon(self._write_slice, broadcast)

    def _measure(self, broadcast: Broadcast) -> None:
        """Measure how long a broadcast took, and since when its price was published, where it has one."""
        seconds = self._clock.monotonic() - broadcast.began
        self.counts.broadcasts.observe(seconds)
        log.debug(
            "update sent", streams=len(broadcast), bytes=len(broadcast.payload), seconds=round(seconds, 6)
        )
        update = self._unmeasured
        if update is not None and update.stages.published:
            delay = max(self._clock.now() - update.stages.published, 0) / 1000
            self.counts.deliveries.observe(delay, trace_id_of(update.trace))
        self._unmeasured = None

    # Time

    async def watch(self) -> None:
        """Once a second, close stalled and old streams and break a long silence. Runs for as long as the hub."""
        while True:
            await self._clock.sleep(1)
            now = self._clock.monotonic()
            overdue = now - self.limits.stall_timeout
            for stream in [
                stream for stream, lag in self._members.lagging.items() if lag.progressed_at <= overdue
            ]:
                self.leave(stream, Reason.STALLED)
            self._end_old(now)
            self._ledger.endings.watch(now)
            if now - self._last_write >= self.heartbeat and self._broadcast is None:
                self._outbox.append(self._heartbeat())
                self._begin_round()

    def _end_old(self, now: float) -> None:
        """End the streams that are due; one that lags once it has caught up, so that its last event is a whole one."""
        for stream in self._ages.take_due(now):
            if self._members.is_live(stream):
                self.end(stream, self.final_retry(), Reason.AGE)
            else:
                self._ages.postpone(stream, now)

    async def drain(self, window: float) -> None:
        """End every stream cleanly, spread over `window` seconds, each with its own `retry:`; abort lagging ones.

        The spread and the jitter keep the clients from reconnecting all at once.
        """
        self.draining = True
        self.arrivals.announce()
        streams = self.streams
        steps = max(1, int(window * 10))
        for step in range(steps):
            for stream in streams[step::steps]:
                self.end(stream, self.final_retry(len(streams)), Reason.DRAINED)
            if streams:
                await self._clock.sleep(window / steps)
        self._ledger.endings.summarize()

    def end(self, stream: Stream, final_retry: bytes, reason: Reason = Reason.DRAINED) -> None:
        """End one stream with these last bytes; abort it if it lags."""
        try:
            if self._members.is_live(stream):
                stream.finish(final_retry)
        except Exception as error:  # noqa: BLE001 - the other streams must end cleanly as well
            self._fail(stream, error)
        self.leave(stream, reason)

    def final_retry(self, streams: int = 0) -> bytes:
        """The last bytes of one of so many streams: a `retry:` that lets at most 2,000 a second reconnect.

        It comes with a heartbeat, the event with the least meaning: see `sse.with_retry`.
        """
        wait = random.randint(1000, 1000 + max(4000, streams // 2))  # nosec B311 # ms, jittered
        return sse.with_retry(wait, self._heartbeat())

    def _heartbeat(self) -> bytes:
        return sse.heartbeat(self._clock.now() // 1000)
