"""One client's open connection, as the hub sees it, and its position while it lags."""

from typing import Protocol

from btc_price_tracker.fanout.counts import NOTHING, Sums


class Lag:
    """The position of a stream that does not have everything yet."""

    __slots__ = (
        "after",
        "behind",
        "pending",
        "progressed_at",
        "sent",
        "sent_status",
        "sources",
        "waits_for_room",
    )

    def __init__(
        self,
        after: int,
        pending: bytes,
        sent_status: bytes,
        progressed_at: float,
        sources: bytes | None = None,
        sent: Sums = NOTHING,
        *,
        behind: int = 0,
    ) -> None:
        self.pending = pending  # bytes to be written first; what follows holds once they are
        self.after = after  # the id up to which the client has everything
        self.behind = behind  # the id up to which it has everything before they are
        self.sent_status = sent_status  # the status frame that the client has
        self.sources = sources  # its `sources` frame; None where it did not ask for such events
        self.progressed_at = progressed_at  # monotonic time of the last progress
        self.sent = sent  # since the stream began
        self.waits_for_room = False


class Slot(Protocol):
    """What an admitted stream occupies (see web/limits.py)."""

    @property
    def is_revoked(self) -> bool:
        """Whether the stream is to end, since its access token no longer allows it."""

    def release(self) -> None:
        """Give it back. Idempotent; never raises."""


class Stream(Protocol):
    """One client's open connection. The hub owns `lag`, None while the stream is live, and `record`."""

    lag: Lag | None
    record: bytes  # a packed `counts.Record`

    @property
    def slot(self) -> Slot | None:
        """What `Hub.leave` releases; None for a stream that no limit applies to."""

    def send(self, data: bytes, /) -> int:
        """Write as much as there is room for; returns the number of bytes.

        Raises BlockingIOError if there is no room, another OSError if the client has disconnected or the stream is
        closed.
        """

    def want_room(self, wanted: bool) -> None:  # noqa: FBT001 - as asyncio's own switches
        """Whether `Hub.advance` is to be called once there is room."""

    def finish(self, final_retry: bytes) -> None:
        """Write these last bytes, end the response cleanly, and close."""

    def close(self) -> None:
        """Release the connection at once. Idempotent."""
