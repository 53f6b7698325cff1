"""Server-Sent Events as bytes, encoded once for everybody.

The format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
A frame here is one event as one whole HTTP/1.1 chunk (RFC 9112, 7.1), because that is what nearly every client gets.
`unchunk` gives back the bare events for the few that speak HTTP/1.0 and for servers that chunk by themselves.

Two rules: no event is ever named `error` or `open` (EventSource would confuse them with its own), and only prices
bear an id, so that a client resumes after the last price it saw.
"""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from btc_price_tracker.price.model import Status, Tick

LAST_CHUNK = b"0\r\n\r\n"

_json = msgspec.json.Encoder(decimal_format="number")


class Price(msgspec.Struct):
    """A price as clients see it; the order of the fields is the public order."""

    timestamp: int
    price: Decimal
    status: Status
    sources: int
    spread: Decimal
    age: int
    method: str

    @classmethod
    def of(cls, tick: Tick) -> "Price":
        """What clients see of a tick."""
        return cls(tick.timestamp, tick.price, tick.status, tick.sources, tick.spread, tick.age, tick.method)


def price(tick: Tick) -> bytes:
    """An unnamed event with the tick's id."""
    return _chunk(b"id: %d\ndata: %b\n\n" % (tick.id, _json.encode(Price.of(tick))))


def status(status: Status, reason: str, timestamp: int) -> bytes:
    """A `status` event: how sure the price is since `timestamp` (seconds), and why."""
    return _event(b"status", {"status": status, "reason": reason, "timestamp": timestamp})


def sources(view: bytes) -> bytes:
    """A `sources` event: how every source is doing, as JSON on one line."""
    return _chunk(b"event: sources\ndata: %b\n\n" % view)


def gap(first: int, last: int) -> bytes:
    """A `gap` event: prices with first ≤ id ≤ last can't be replayed."""
    return _event(b"gap", {"from": first, "to": last})


def heartbeat(timestamp: int) -> bytes:
    """A `heartbeat` event: a named event, since EventSource shows a page no comments."""
    return _event(b"heartbeat", {"timestamp": timestamp})


def retry(milliseconds: int) -> bytes:
    """Tells the client how long to wait before it reconnects. Dispatches nothing."""
    return _chunk(b"retry: %d\n\n" % milliseconds)


def unchunk(frames: bytes) -> Iterator[bytes]:
    """The bare events of whole frames joined together.

    Raises ValueError where the bytes are not whole chunks.
    """
    at = 0
    while at < len(frames):
        body = frames.index(b"\r\n", at) + 2
        end = body + int(frames[at : body - 2], 16)
        if end + 2 > len(frames):
            raise ValueError("a frame is cut short")
        yield frames[body:end]
        at = end + 2


def _event(name: bytes, data: dict[str, object]) -> bytes:
    # JSON has no raw line breaks, so one data line always does.
    return _chunk(b"event: %b\ndata: %b\n\n" % (name, _json.encode(data)))


def _chunk(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)
