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
    piece: int = 4096  # parsed at a time: many requests in one packet wait as bytes, not as objects


DEFAULTS = ConnectionLimits()
