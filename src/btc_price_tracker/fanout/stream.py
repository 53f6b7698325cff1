"""One client's open connection, as the hub sees it, and where it stands while it has not got everything."""

from typing import Protocol


class Lag:
    """Where a stream stands that has not got everything yet."""

    __slots__ = ("after", "moved", "pending", "sources", "told", "waiting")

    def __init__(
        self, after: int, pending: bytes, told: bytes, moved: float, sources: bytes | None = None
    ) -> None:
        self.after = after  # the id up to which it has everything once `pending` is written
        self.pending = pending  # bytes it must get first
        self.told = told  # the status frame it has once `pending` is written
        self.moved = moved  # monotonic time of its last progress
        self.sources = sources  # likewise the `sources` frame; None where the client did not ask for them
        self.waiting = False  # whether it has asked to hear of room


class Slot(Protocol):
    """What an admitted stream occupies (see web/limits.py)."""

    def release(self) -> None:
        """Give it back. Idempotent; never raises."""


class Stream(Protocol):
    """One client's open connection. The hub owns `lag`: None while the stream is live."""

    lag: Lag | None

    @property
    def slot(self) -> Slot | None:
        """What `Hub.leave` releases; None for a stream that no limit applies to."""

    def send(self, data: bytes, /) -> int:
        """Take as much as there is room for, and say how much.

        Raises BlockingIOError where there is no room, another OSError where the client is gone or the stream closed.
        """

    def want_room(self, wanted: bool) -> None:  # noqa: FBT001 - as asyncio's own switches
        """Whether `Hub.advance` is to be called once there is room."""

    def finish(self, final_retry: bytes) -> None:
        """Write these last bytes, end the response cleanly, and close."""

    def close(self) -> None:
        """Let go of the connection at once. Idempotent."""
