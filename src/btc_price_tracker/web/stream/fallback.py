"""A stream that stays with the HTTP server: the hub puts bytes here, and the task of the response sends them."""

import asyncio
from collections.abc import Callable

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.stream import Lag, Slot


class Mailbox:
    """Room for one payload; see `fanout.stream.Stream`. A stream whose mailbox is full lags like any other."""

    def __init__(self, hub: Hub, slot: Slot | None, abort: Callable[[], None]) -> None:
        self.lag: Lag | None = None
        self.record = b""
        self.slot = slot
        self._hub = hub
        self._abort = abort  # aborts the connection of a client that reads nothing
        self._content = b""
        self._ended = False
        self._room_wanted = False
        self._ready = asyncio.Event()

    def send(self, data: bytes, /) -> int:
        """Take everything if the mailbox is empty."""
        if self._ended:
            raise BrokenPipeError
        if self._content:
            raise BlockingIOError
        self._content = data
        self._ready.set()
        return len(data)

    def want_room(self, wanted: bool) -> None:  # noqa: FBT001 - see fanout.stream.Stream
        """Whether `Hub.advance` is called once the mailbox is empty."""
        self._room_wanted = wanted

    def finish(self, final_retry: bytes) -> None:
        """Append the last bytes."""
        self._content += final_retry
        self._ended = True
        self._ready.set()

    def close(self) -> None:
        """Abort the connection, unless the stream has ended."""
        if not self._ended:
            self._ended = True
            self._ready.set()
            self._abort()

    async def take(self) -> bytes:
        """Return the next bytes, b"" once the stream has ended. Only now may the hub put in more."""
        if self._room_wanted and not self._content:
            self._hub.advance(self)
        while not self._content and not self._ended:
            self._ready.clear()
            await self._ready.wait()
        content, self._content = self._content, b""
        return content
