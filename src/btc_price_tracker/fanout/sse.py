"""Server-Sent Events as bytes, encoded once for all streams.

The format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
A frame is one event as one complete HTTP/1.1 chunk (RFC 9112, 7.1), which is what nearly every client gets. `unchunk`
returns the bare events for HTTP/1.0 clients and for servers that chunk by themselves.

Two rules: no event is ever named `error` or `open` (EventSource dispatches its own under these names), and only
prices have an id, so that a client resumes after the last price it saw.
"""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from btc_price_tracker.price.model import PAIR, Status, Tick

LAST_CHUNK = b"0\r\n\r\n"

_json = msgspec.json.Encoder(decimal_format="number")


class Price(msgspec.Struct, omit_defaults=True):
    """A price. The order of the fields is public. `recorded` is present only if true."""

    timestamp: int
    price: Decimal
    status: Status
    sources: int
    spread: Decimal
    age: int  # s
    quote_age: int  # ms
    method: str
    id: int
    pair: str
    recorded: bool = False

    @classmethod
    def of(cls, tick: Tick) -> "Price":
        """The public fields of a tick."""
        return cls(
            timestamp=tick.timestamp,
            price=tick.price,
            status=tick.status,
            sources=tick.sources,
            spread=tick.spread,
            age=tick.age,
            quote_age=tick.quote_age,
            method=tick.method,
            id=tick.id,
            pair=PAIR,
            recorded=tick.recorded,
        )


class StatusChange(msgspec.Struct):
    """The status of the price since `timestamp` (seconds since the epoch), and its reason."""

    status: Status
    reason: str
    timestamp: int


class Gap(msgspec.Struct):
    """Prices with these ids can't be replayed, both ends included."""

    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")


class Heartbeat(msgspec.Struct):
    """The server is alive at `timestamp` (seconds since the epoch)."""

    timestamp: int


def price(tick: Tick) -> bytes:
    """An unnamed event with the tick's id."""
    return _chunk(b"id: %d\ndata: %b\n\n" % (tick.id, _json.encode(Price.of(tick))))


def data(frame: bytes) -> bytes:
    """The JSON in a frame with one event."""
    _, _, rest = frame.partition(b"\ndata: ")
    return rest.partition(b"\n")[0]


def status(status: Status, reason: str, timestamp: int) -> bytes:
    """A `status` event: the status since `timestamp` (seconds), and its reason."""
    return _event(b"status", StatusChange(status, reason, timestamp))


def sources(view: bytes) -> bytes:
    """A `sources` event: the state of every source, as JSON on one line."""
    return _chunk(b"event: sources\ndata: %b\n\n" % view)


def gap(first: int, last: int) -> bytes:
    """A `gap` event: prices with first ≤ id ≤ last can't be replayed."""
    return _event(b"gap", Gap(first, last))


def heartbeat(timestamp: int) -> bytes:
    """A `heartbeat` event: a named event, since EventSource shows a page no comments."""
    return _event(b"heartbeat", Heartbeat(timestamp))


def retry(milliseconds: int) -> bytes:
    """A block with only the wait before reconnecting. For browsers only: see `with_retry`."""
    return _chunk(b"retry: %d\n\n" % milliseconds)


def with_retry(milliseconds: int, frames: bytes) -> bytes:
    """Add the wait before reconnecting to the first of some frames.

    By the standard a block without data dispatches nothing, but httpx-sse, r3labs/sse and others hand one that has
    only a `retry:` to their users as an empty message.
    """
    size, _, rest = frames.partition(b"\r\n")
    end = int(size, 16)
    return _chunk(b"retry: %d\n%b" % (milliseconds, rest[:end])) + rest[end + 2 :]


def unchunk(frames: bytes) -> Iterator[bytes]:
    """The bare events of complete frames joined together.

    Raises ValueError if the bytes are not complete chunks.
    """
    at = 0
    while at < len(frames):
        body = frames.index(b"\r\n", at) + 2
        end = body + int(frames[at : body - 2], 16)
        if end + 2 > len(frames):
            raise ValueError("a frame is truncated")
        yield frames[body:end]
        at = end + 2


def _event(name: bytes, data: msgspec.Struct) -> bytes:
    # JSON has no raw line breaks, so one data line suffices.
    return _chunk(b"event: %b\ndata: %b\n\n" % (name, _json.encode(data)))


def _chunk(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)
