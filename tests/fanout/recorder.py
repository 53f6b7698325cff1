"""A stream that writes down what the hub gives it, and has as much room as the test allows."""

import re

import msgspec

from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.stream import Lag, Slot

_EVENT = re.compile(rb"(?:retry: \d+\n)?(?:event: (?P<name>\w+)|id: (?P<id>\d+))\ndata: (?P<data>.+)\n\n")


class Recorder:
    """A `stream.Stream`. `room` is how many bytes it still takes, None for any number."""

    def __init__(self, room: int | None = None) -> None:
        self.lag: Lag | None = None
        self.record = b""
        self.slot: Slot | None = None
        self.room = room
        self.taken = b""
        self.broken = False
        self.bugs: dict[str, Exception] = {}  # what a method raises instead of doing its work, by its name
        self.closed = False
        self.final_retry = b""
        self.waits = False

    def send(self, data: bytes, /) -> int:
        self._raise("send")
        if self.broken or self.closed:
            raise BrokenPipeError
        if self.room is None:
            self.taken += data
            return len(data)
        if self.room == 0:
            raise BlockingIOError
        part = data[: self.room]
        self.room -= len(part)
        self.taken += part
        return len(part)

    def want_room(self, wanted: bool) -> None:  # noqa: FBT001 - see stream.Stream
        self._raise("want_room")
        self.waits = wanted

    def finish(self, final_retry: bytes) -> None:
        self._raise("finish")
        self.final_retry = final_retry

    def close(self) -> None:
        self.closed = True
        self._raise("close")

    def _raise(self, method: str) -> None:
        if method in self.bugs:
            raise self.bugs[method]

    def make_room(self, hub: Hub, room: int | None = None) -> None:
        """Let the kernel have room again: it tells whoever waits for it."""
        self.room = room
        if self.waits and not self.closed:
            hub.advance(self)

    @property
    def events(self) -> list[tuple[str, dict[str, int | str]]]:
        """Name and data of every whole event; prices are called `price` and have an `id`."""
        return [_read(event) for event in sse.unchunk(self.taken) if not event.startswith(b"retry")]

    @property
    def ids(self) -> list[int]:
        return [int(data["id"]) for name, data in self.events if name == "price"]


def _read(event: bytes) -> tuple[str, dict[str, int | str]]:
    at = _EVENT.fullmatch(event)
    assert at is not None, event
    data: dict[str, int | str] = msgspec.json.decode(at["data"])
    if at["id"]:
        return "price", {**data, "id": int(at["id"])}
    return at["name"].decode(), data
