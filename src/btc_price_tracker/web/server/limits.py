"""What one connection may take: time, bytes and memory."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Times in seconds, sizes in bytes."""

    head_timeout: float = 10.0  # for the head of a request
    write_timeout: float = 30.0  # without progress, after which a connection with unsent data is aborted
    half_closed_timeout: float = 5.0  # within which the response to a half-closed client must begin
    check_interval: float = 0.5  # between two checks of the deadlines of all connections
    max_head: int = 16 * 1024
    max_body: int = 1024 * 1024  # of a request, whose body is discarded; its connection is closed beyond
    # Connections of one address, trusted proxies excepted. Browsers open six, and for a moment; behind one address of a
    # NAT may be hundreds of people, but they don't all send a head at the same moment, which takes a round trip.
    max_unfinished: int = 64  # that have not sent a complete head yet
    share: int = 8  # the part of all connections, one in so many, that are one address's, streams excepted
    piece: int = 4096  # parsed at a time: many requests in one packet wait as bytes, not as objects


DEFAULTS = ConnectionLimits()
