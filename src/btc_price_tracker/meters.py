"""What the parts of the service count and measure: plain integers that only grow, read when metrics are collected."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

# Upper bounds in seconds.
FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PAUSES = (0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
DELAYS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
SPANS = (1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 21_600.0, 86_400.0, 604_800.0)
DEPTHS = (1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0, 604_800.0)


class Exemplar(NamedTuple):
    """A measured value and the trace that it belongs to."""

    value: float
    trace_id: str


class Distribution:
    """How often values were at most each of some bounds, for a histogram."""

    __slots__ = ("bounds", "counts", "exemplars", "total")

    def __init__(self, bounds: Sequence[float] = FAST) -> None:
        """`bounds` ascend; what exceeds the last is counted as well."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # of the values above the bound before and at most this one
        self.total = 0.0  # the sum of all values
        self.exemplars: dict[int, Exemplar] = {}  # the newest of each count; only of values with a trace

    def observe(self, value: float, trace_id: str | None = None) -> None:
        """Count a value, with the id of the trace that it belongs to, if any."""
        index = bisect_left(self.bounds, value)
        self.counts[index] += 1
        self.total += value
        if trace_id is not None:
            self.exemplars[index] = Exemplar(value, trace_id)


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id in a W3C traceparent."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) >= 4 else None
