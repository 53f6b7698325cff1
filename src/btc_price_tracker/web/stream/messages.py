"""ASGI messages for event streams, and the end of a body of unknown length."""

from typing import Any

from starlette.types import Receive, Send

from btc_price_tracker.fanout import sse
from btc_price_tracker.web.server.detach import DetachableResponse

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-store, no-transform"),
    (b"x-accel-buffering", b"no"),  # else nginx holds events back
]


def start() -> dict[str, Any]:
    """The head of the response."""
    return {"type": "http.response.start", "status": 200, "headers": HEADERS}


def body(data: bytes) -> dict[str, Any]:
    """A part of the body."""
    return {"type": "http.response.body", "body": data, "more_body": True}


def bare(frames: bytes) -> dict[str, Any]:
    """Complete frames as a part of the body, without their chunk framing: the server adds its own."""
    return body(b"".join(sse.unchunk(frames)))


def end() -> dict[str, Any]:
    """The end of the body."""
    return {"type": "http.response.body", "body": b"", "more_body": False}


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def finish(exchange: DetachableResponse | None, receive: Receive, send: Send) -> None:
    """End the response according to its framing."""
    if exchange is not None and exchange.unframed:
        exchange.close()
        await wait_for_disconnect(receive)
    else:
        await send(end())
