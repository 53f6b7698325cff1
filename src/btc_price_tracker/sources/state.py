"""What `/sources` and the command line show of one source."""

from enum import StrEnum

from msgspec import Struct

from btc_price_tracker.price.model import Kind, Quote


class State(StrEnum):
    """How a source is doing, the weightiest thing first."""

    THROTTLED = "throttled"  # it told us to wait, or bans us
    OPEN = "open"  # it mostly failed: the circuit is open
    ERROR = "error"  # the last attempt failed
    WAITING = "waiting"  # not asked yet
    STALE = "stale"  # it answers, but with an old price
    OK = "ok"


class SourceState(Struct, frozen=True):
    """One source as of now. The counters only grow, for metrics."""

    name: str
    kind: Kind
    state: State
    quote: Quote | None  # the last one
    heard: int  # ms since the epoch at which it arrived; 0 before the first
    latency: float | None  # ms that the last good answer took
    next_try: float  # seconds until it may be asked again; 0 means in the next round
    error: str | None  # why the last attempt failed; None where it didn't
    calls: int  # requests sent, retries included
    failures: int  # of these, the ones that brought no quote
