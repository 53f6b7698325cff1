"""What the brokers have in common: times, and how much history they hold."""

from dataclasses import dataclass, field

from btc_price_tracker.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A leader that dies is replaced after at most `lease` and the time of one request."""

    lease: float = 6.0  # how long a leader is one without renewing
    renewal: float = 2.0  # between two renewals
    silence: float = 15.0  # without a sign of life after which a follower's connection is given up
    probe: float = 5.0  # for a probe to come back
    request: float = 3.0  # for connecting, and for the answer to a request


@dataclass(frozen=True, slots=True)
class History:
    """How many ticks a broker holds: those of the last `seconds`, and about `ticks` at most."""

    ticks: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Options:
    """What an implementation needs beside its address."""

    instance: str  # the name of this one among all
    history: History
    timing: Timing = field(default_factory=Timing)
    clock: Clock = field(default_factory=SystemClock)
