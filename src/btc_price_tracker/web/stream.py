"""The response of /prices/stream: history under ASGI's back-pressure, then the socket leaves the server (DESIGN 2).

Where it can't leave (no epoll, no plain TCP socket of ours, HTTP/1.0, no descriptor left) the same hub writes into a
mailbox that this response empties through ASGI, and the client gets the same events.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.types import Receive, Scope, Send

from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.hub import Hub, farewell
from btc_price_tracker.fanout.reactor import Reactor
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store, StoreError
from btc_price_tracker.store.outbox import Hole
from btc_price_tracker.web.admission import Admission
from btc_price_tracker.web.exchange import EXCHANGE, Exchange
from btc_price_tracker.web.mailbox import Mailbox
from btc_price_tracker.web.resume import Position
from btc_price_tracker.web.start import Start, begin, is_recent, locate

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-store, no-transform"),
    (b"x-accel-buffering", b"no"),  # else nginx holds events back
]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Streams:
    """What all streams of this instance share."""

    hub: Hub
    ring: Ring
    store: Store
    holes: Sequence[Hole]  # what the store was never given
    admission: Admission
    reactor: Reactor | None = None  # None: every stream stays with the server


class PriceStream:
    """The response to one client, as an ASGI application."""

    def __init__(self, streams: Streams, position: Position, *, browser: bool) -> None:
        """Raises Problem (503) when the house is full and the client is no browser."""
        self._streams = streams
        self._position = position
        self._wait = streams.admission.turn_away(browser=browser) if streams.admission.full else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then whatever the client is to have."""
        exchange: Exchange | None = scope.get("extensions", {}).get(EXCHANGE)
        if exchange is not None and scope["http_version"] == "1.0":
            exchange.leave_unframed()
        if scope["method"] == "HEAD":
            await send(_start())
            await send(_body(b"", more=False))
        elif self._wait is not None:
            await send(_start())
            await send(_body(_bare(sse.retry(self._wait))))
            await _end(exchange, receive, send)
        elif self._streams.reactor is not None and exchange is not None and _can_leave(scope):
            await self._leave(self._streams.reactor, receive, send, exchange)
        else:
            await self._stay(receive, send, exchange)

    async def _leave(self, reactor: Reactor, receive: Receive, send: Send, exchange: Exchange) -> None:
        """Stream on a descriptor of our own. What most clients need goes out with the head, in one packet.

        Where the store has to be asked, the head leaves at once: that may take its time.
        """
        shared = self._streams
        with shared.admission:
            head = await exchange.head(send, _start())
            if is_recent(self._position, shared.ring) and exchange.drained:
                start = begin(self._position, shared.hub, shared.ring)
            else:
                exchange.write(head)
                head = b""
                start = await self._locate()
                await self._replay_history(start, send, exchange)
            # Nothing was awaited since we looked: what the ring had then, it has now. And every byte sent is with
            # the kernel, so what the reactor writes comes after it.
            has_left = not shared.hub.draining and _move(exchange, reactor, start, head)
        if not has_left:
            exchange.write(head)
            exchange.hold_nothing_back()
            await self._follow(start, receive, send, exchange)

    async def _stay(self, receive: Receive, send: Send, exchange: Exchange | None) -> None:
        """Stream through the server."""
        shared = self._streams
        with shared.admission:
            await send(_start())
            start = await self._locate()
            await self._replay_history(start, send, exchange)
        await self._follow(start, receive, send, exchange)

    async def _locate(self) -> Start:
        shared = self._streams
        return await locate(self._position, shared.hub, shared.ring, shared.store)

    async def _replay_history(self, start: Start, send: Send, exchange: Exchange | None) -> None:
        """Send what is older than the ring, page by page, as fast as the client takes it.

        A slow client takes its time, and the ring goes on meanwhile: so look again when the client has it all. When
        this returns, every byte is with the kernel.
        """
        hub, store = self._streams.hub, self._streams.store
        if exchange is not None:
            exchange.hold_nothing_back()
        await _deliver(send, b"")
        if start.after < self._streams.ring.floor:
            start.told = hub.said
            await _deliver(send, start.opening + start.told)
            start.opening = b""
        try:
            while start.after < self._streams.ring.floor and not (_is_closing(exchange) or hub.draining):
                # The store is ahead of the hub by a moment: what isn't published yet is the hub's to send.
                page = await anext(store.since(start.after, hub.head), None)
                if page is None:
                    break  # the store has lost it too: the hub will say so
                # Retention goes on while a client takes its time.
                lost = Hole(start.after + 1, min((await store.span()).dropped, page[0].id - 1))
                await _deliver(send, _frames(start.after, page, [lost, *self._streams.holes]))
                start.after = page[-1].id
        except StoreError as error:
            log.warning("history cut short", reason=str(error))

    async def _follow(self, start: Start, receive: Receive, send: Send, exchange: Exchange | None) -> None:
        """Take from the hub and give to ASGI until the client hangs up or the hub ends it."""
        hub = self._streams.hub
        if hub.draining:  # the client comes back for the rest
            await send(_body(_bare(farewell())))
            await _end(exchange, receive, send)
            return

        def abort() -> None:
            forwarding.cancel()
            if exchange is not None:
                exchange.abort()

        mailbox = Mailbox(hub, abort)
        async with asyncio.TaskGroup() as tasks:
            forwarding = tasks.create_task(_forward(mailbox, send))
            hang_up = tasks.create_task(_hang_up(receive))
            hang_up.add_done_callback(lambda _: hub.leave(mailbox))
            try:
                hub.join(mailbox, start.after, start.opening, start.told)
                await asyncio.wait({forwarding})
            finally:
                hub.leave(mailbox)
                hang_up.cancel()
        if not forwarding.cancelled():
            await _end(exchange, receive, send)
        elif exchange is not None:
            await _hang_up(receive)


def _frames(after: int, page: Iterable[Tick], holes: Iterable[Hole]) -> bytes:
    """A page of the store that follows the id `after`, with a gap where a hole is crossed."""
    frames = []
    for tick in page:
        frames += [sse.gap(*hole) for hole in holes if after < hole.last < tick.id]
        frames.append(sse.price(tick))
        after = tick.id
    return b"".join(frames)


async def _forward(mailbox: Mailbox, send: Send) -> None:
    """Take what the hub leaves in a mailbox on to the client, until the stream is over."""
    with contextlib.suppress(OSError):  # how some servers say that the client is gone
        while frames := await mailbox.take():
            for event in sse.unchunk(frames):
                await send(_body(event))


async def _deliver(send: Send, frames: bytes) -> None:
    """Send frames, and return when the kernel has them: the next `send` begins then (Exchange.hold_nothing_back)."""
    await send(_body(_bare(frames)))
    if frames:
        await send(_body(b""))


def _can_leave(scope: Scope) -> bool:
    """Whether the bytes on the socket are ours to write: chunks, and no TLS in this process."""
    return bool(scope["scheme"] == "http" and scope["http_version"] == "1.1")


def _move(exchange: Exchange, reactor: Reactor, start: Start, head: bytes) -> bool:
    """Take the socket out of the server and into the reactor, unless that can't be done and the stream must stay."""
    if exchange.closing:
        return False
    try:
        reactor.adopt(exchange.duplicate(), start.after, head + start.opening, start.told)
    except OSError as error:
        log.warning("stream stays with the server", reason=str(error))
        return False
    exchange.let_go()
    return True


async def _end(exchange: Exchange | None, receive: Receive, send: Send) -> None:
    """End the response as its framing asks for."""
    if exchange is not None and exchange.unframed:
        exchange.close()
        await _hang_up(receive)
    else:
        await send(_body(b"", more=False))


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _is_closing(exchange: Exchange | None) -> bool:
    return exchange is not None and exchange.closing


def _bare(frames: bytes) -> bytes:
    return b"".join(sse.unchunk(frames))


def _start() -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": HEADERS}


def _body(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}
