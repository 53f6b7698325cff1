"""The keys in Redis. Their common part in braces keeps them in one slot of a cluster."""

from dataclasses import dataclass

_PREFIX = "{btc-price-tracker}:"


@dataclass(frozen=True, slots=True)
class Keys:
    """Those that the brokers of all instances share, and the probes of this one."""

    instance: str
    ticks = _PREFIX + "ticks"  # a stream: the history and the live path
    statuses = _PREFIX + "statuses"  # a stream: the newest updates without a tick
    lease = _PREFIX + "lease"  # the token of the leader; expires
    term = _PREFIX + "term"  # the number of the newest term
    handover = _PREFIX + "handover"  # a list: wakes a candidate when the lease is given up

    @property
    def probes(self) -> str:
        """A stream with the last probe of this instance; expires."""
        return f"{_PREFIX}probes:{self.instance}"
