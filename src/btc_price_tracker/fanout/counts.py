"""What is counted about the streams of an instance, and what each of them has been sent.

Live streams are sent the same, so the broadcasts are counted once per group, and a stream keeps only the difference
between its own sums and those of its group: a broadcast costs no stream anything.
"""

import errno
import struct
from collections import Counter
from enum import StrEnum
from typing import NamedTuple, Self

from btc_price_tracker.meters import DEPTHS, SPANS, Distribution

GAP = b"event: gap"
END = b"\n\n"  # of an event


class Reason(StrEnum):
    """Why a stream ended."""

    CLIENT = "client"  # the client closed it
    RESET = "reset"  # the connection was reset
    TIMED_OUT = "timed_out"  # the network no longer reaches the client
    STALLED = "stalled"  # the client read nothing for too long
    INPUT = "input"  # the client sent too much
    DRAINED = "drained"  # this instance shuts down
    AGE = "age"  # it was open for as long as MAX_STREAM_AGE
    REVOKED = "revoked"  # its access token was revoked, or lost the scope
    ERROR = "error"  # a bug


class Sums(NamedTuple):
    """Bytes and events."""

    size: int = 0
    events: int = 0

    def plus(self, other: "Sums") -> "Sums":
        """The sum of both."""
        return Sums(self.size + other.size, self.events + other.events)

    def minus(self, other: "Sums") -> "Sums":
        """The difference of both."""
        return Sums(self.size - other.size, self.events - other.events)

    @classmethod
    def of(cls, frames: bytes) -> Self:
        """Those of frames, or of the rest of some."""
        return cls(len(frames), frames.count(END))


NOTHING = Sums()


class Origin(NamedTuple):
    """What a new stream brings along."""

    stream_id: int = 0
    request_id: str | None = None  # None where it is the same as the stream's
    resumed_from: int | None = None  # an id
    sent: Sums = NOTHING  # before the hub had it


UNKNOWN = Origin()


class Record(NamedTuple):
    """The beginning of a stream, and what it was sent: while it is live, the difference to its group."""

    began: float  # monotonic
    stream_id: int
    resumed_from: int | None
    sent: Sums

    def pack(self) -> bytes:
        """The record in 73 bytes: there is one for each of many thousand streams."""
        resumed_from = -1 if self.resumed_from is None else self.resumed_from
        return _RECORD.pack(self.began, self.stream_id, resumed_from, *self.sent)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """The record that `pack` returned so."""
        began, stream_id, resumed_from, size, events = _RECORD.unpack(packed)
        return cls(began, stream_id, None if resumed_from < 0 else resumed_from, Sums(size, events))


_RECORD = struct.Struct("<dQqqq")


def reason_of(error: OSError) -> Reason:
    """Why a stream ended whose socket raised an error."""
    return Reason.TIMED_OUT if error.errno in _UNREACHABLE else Reason.RESET


_UNREACHABLE = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN)


class Counts:
    """Counts that only grow, and durations in seconds."""

    def __init__(self) -> None:
        self.joined = 0  # streams
        self.abandoned = 0  # streams that ended before they could join: amid the replay
        self.resumed = 0  # of those that joined, the ones that came with an id
        self.closed: Counter[Reason] = Counter()
        self.fallen_behind = 0  # times that a live stream had no room
        self.gaps = 0  # announced, summed over the streams, as the next two
        self.size = 0  # bytes sent
        self.events = 0  # sent
        self.depths = Distribution(DEPTHS)  # age of the ids that streams came with
        self.durations = Distribution(SPANS)  # of streams
        self.broadcasts = Distribution()
        self.deliveries = Distribution()  # from the publication of a price to the last socket

    def sent(self, sums: Sums) -> None:
        """Count what was sent to one stream."""
        self.size += sums.size
        self.events += sums.events
