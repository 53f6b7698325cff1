"""The response of /prices/stream: history first (replay.py), then the socket leaves the server.

Where it can't (no epoll, no plain TCP socket, HTTP/1.0, no descriptor left) the same hub writes into a mailbox that
this response empties through ASGI, and the client gets the same events. See docs/decisions/detached-sockets.md.
"""

import asyncio
import contextlib

import structlog
from starlette.types import Receive, Scope, Send

from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.counts import Origin, Sums
from btc_price_tracker.fanout.reactor import Reactor
from btc_price_tracker.telemetry.tracing import NO_SPAN, Span
from btc_price_tracker.web.limits import Slot
from btc_price_tracker.web.middleware.traced import span_of
from btc_price_tracker.web.server.detach import DETACHABLE, DetachableResponse
from btc_price_tracker.web.stream import messages as asgi
from btc_price_tracker.web.stream.fallback import Mailbox
from btc_price_tracker.web.stream.identity import current_ids
from btc_price_tracker.web.stream.position import Anchor, Position
from btc_price_tracker.web.stream.replay import replay, with_heartbeats
from btc_price_tracker.web.stream.shared import Streams
from btc_price_tracker.web.stream.start import Start, begin, greeting, is_recent, locate

log = structlog.get_logger(__name__)


class PriceStream:
    """The response to one client, as an ASGI application."""

    def __init__(
        self,
        streams: Streams,
        position: Position,
        slot: Slot,
        retry_after: int | None = None,
        *,
        with_sources: bool = False,
    ) -> None:
        """Stream from `position` on in an admitted `slot`, or only send to reconnect after `retry_after` ms."""
        self._streams = streams
        self._position = position
        self._slot = slot
        self._retry_after = retry_after
        self._sources = b"" if with_sources else None
        self._ids = current_ids()
        self._start = Start(position.after)
        self._has_joined = False
        self._span: Span = NO_SPAN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then the events."""
        self._span = span_of(scope)
        exchange: DetachableResponse | None = scope.get("extensions", {}).get(DETACHABLE)
        if exchange is not None:
            exchange.endless = True
            if scope["http_version"] == "1.0":
                exchange.leave_unframed()
        if scope["method"] == "HEAD":
            await send(asgi.start())
            await send(asgi.end())
        elif self._retry_after is not None:
            await send(asgi.start())
            await send(asgi.bare(sse.retry(self._retry_after)))
            await asgi.finish(exchange, receive, send)
        else:
            began = self._streams.hub.monotonic()
            if exchange is not None:
                exchange.count_as_stream()
            try:
                await self._open(scope, receive, send, exchange)
            finally:
                if not self._has_joined:
                    self._streams.hub.abandon(self._origin(), began)

    async def _open(
        self, scope: Scope, receive: Receive, send: Send, exchange: DetachableResponse | None
    ) -> None:
        """Detach the stream if that is possible, else serve it."""
        reactor = self._streams.reactor
        if reactor is not None and exchange is not None and _can_detach(scope):
            await self._detach(reactor, receive, send, exchange)
        else:
            await self._serve(receive, send, exchange)

    async def _detach(
        self, reactor: Reactor, receive: Receive, send: Send, exchange: DetachableResponse
    ) -> None:
        """Stream on a duplicated descriptor. Most clients get all that they need with the head, in one packet.

        If the store must be read, which may take long, the head and the status are sent first.
        """
        shared = self._streams
        head = await exchange.head(send, asgi.start())
        head, sent_status = head + greeting(shared.hub), shared.hub.sent_status
        if is_recent(self._position, shared) and exchange.drained:
            start = self._opened(begin(self._position, shared), sent_status)
        else:
            exchange.write(head)
            start = await with_heartbeats(self._locate(sent_status, head), shared.hub, send)
            head = b""
            await replay(start, shared, send, exchange)
        # Nothing was awaited since we looked: what the ring had then, it has now. And every byte sent is with the
        # kernel, so what the reactor writes comes after it.
        if shared.hub.draining or not self._move(exchange, reactor, start, head):
            exchange.write(head)
            exchange.hold_nothing_back()
            await self._follow(start, receive, send, exchange)

    async def _serve(self, receive: Receive, send: Send, exchange: DetachableResponse | None) -> None:
        """Stream through the HTTP server."""
        shared = self._streams
        await send(asgi.start())
        first, sent_status = greeting(shared.hub), shared.hub.sent_status
        await send(asgi.bare(first))
        start = await with_heartbeats(self._locate(sent_status, first), shared.hub, send)
        await replay(start, shared, send, exchange)
        await self._follow(start, receive, send, exchange)

    def _move(self, exchange: DetachableResponse, reactor: Reactor, start: Start, head: bytes) -> bool:
        """Move the socket from the server to the reactor; False where that is impossible and the stream must stay."""
        if exchange.closing:
            return False
        opening = head + start.opening
        try:
            reactor.adopt(
                exchange.duplicate(),
                start.after,
                opening,
                start.sent_status,
                start.sources,
                self._slot,
                origin=self._origin(),
            )
        except OSError as error:
            log.warning("stream not detached", reason=str(error))
            return False
        self._slot.is_handed_over = self._has_joined = True
        exchange.let_go()
        return True

    def _origin(self) -> Origin:
        """What the hub is told for the log and the metrics."""
        start = self._start
        log.debug("stream opened", anchor=self._position.anchor.name, after=start.after)
        after = self._position.after if self._position.anchor is Anchor.ID else None
        return Origin(*self._ids, after, start.sent)

    async def _locate(self, sent_status: bytes, sent: bytes) -> Start:
        """Where the stream starts that has been sent these bytes."""
        self._start.sent = sums = Sums.of(sent)
        self._streams.hub.counts.sent(sums)
        start = await locate(self._position, self._streams)
        start.sent = sums
        return self._opened(start, sent_status)

    def _opened(self, start: Start, sent_status: bytes) -> Start:
        """Complete the start, and end the span of the request: what follows lasts as long as the client likes."""
        self._start = start
        start.sent_status, start.sources = sent_status, self._sources
        anchor, after, _ = self._position
        self._span.set({"btc.stream.anchor": anchor.name.lower(), "btc.stream.after": start.after})
        if anchor is Anchor.ID and (trace := self._streams.hub.spans.trace_of(after)):
            self._span.link(trace)
        self._span.end()
        return start

    async def _follow(
        self, start: Start, receive: Receive, send: Send, exchange: DetachableResponse | None
    ) -> None:
        """Forward from the hub to ASGI until the client disconnects or the hub ends the stream."""
        hub = self._streams.hub
        if exchange is not None and exchange.closing:
            exchange.let_go()  # disconnected during the replay: don't join the hub
            return
        if hub.draining:  # the client reconnects for the rest
            await send(asgi.bare(hub.final_retry()))
            await asgi.finish(exchange, receive, send)
            return

        def abort() -> None:
            forwarding.cancel()
            if exchange is not None:
                exchange.abort()

        mailbox = Mailbox(hub, self._slot, abort)
        async with asyncio.TaskGroup() as tasks:
            forwarding = tasks.create_task(_forward(mailbox, send, self._streams.catching_up))
            wait_for_disconnect = tasks.create_task(asgi.wait_for_disconnect(receive))
            wait_for_disconnect.add_done_callback(lambda _: hub.leave(mailbox))
            try:
                self._has_joined = True
                hub.join(
                    mailbox, start.after, start.opening, start.sent_status, start.sources, self._origin()
                )
                await asyncio.wait({forwarding})
            finally:
                hub.leave(mailbox)
                wait_for_disconnect.cancel()
        if not forwarding.cancelled():
            await asgi.finish(exchange, receive, send)
        elif exchange is not None:
            await asgi.wait_for_disconnect(receive)


async def _forward(mailbox: Mailbox, send: Send, catching_up: asyncio.Semaphore) -> None:
    """Send what the hub puts into a mailbox until the stream is over.

    Streams that catch up share a few pages per iteration of the event loop, so that many of them don't block it.
    """
    with contextlib.suppress(OSError):  # how some servers report a disconnect
        while frames := await mailbox.take():
            await send(asgi.bare(frames))
            if mailbox.lag is not None:
                async with catching_up:
                    await asyncio.sleep(0)


def _can_detach(scope: Scope) -> bool:
    """Whether plain chunks can be written to the socket: HTTP/1.1 and no TLS in this process."""
    return bool(scope["scheme"] == "http" and scope["http_version"] == "1.1")
