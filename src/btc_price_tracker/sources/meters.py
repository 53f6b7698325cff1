"""What is counted about a source on the instance that polls it."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from btc_price_tracker.errors import (
    Banned,
    ConnectionDropped,
    InvalidQuote,
    LocalError,
    RateLimited,
    SourceRefused,
    SourceUnavailable,
    SourceUnreachable,
)
from btc_price_tracker.meters import Distribution
from btc_price_tracker.sources.breaker import Circuit
from btc_price_tracker.sources.events import log_request
from btc_price_tracker.sources.headers import used_weight

OK = "ok"
BUG = "bug"
_OUTCOMES: dict[type[BaseException], str] = {  # a subclass before its base
    asyncio.CancelledError: "timeout",  # or the shutdown
    Banned: "banned",
    RateLimited: "rate_limited",
    SourceUnavailable: "unavailable",
    SourceRefused: "refused",
    InvalidQuote: "invalid",
    ConnectionDropped: "dropped",
    SourceUnreachable: "unreachable",
    LocalError: "local",
}
OUTCOMES = (OK, *_OUTCOMES.values(), BUG)


def outcome_of(error: BaseException) -> str:
    """One of OUTCOMES: what kind of failure ended a request."""
    return next((outcome for kind, outcome in _OUTCOMES.items() if isinstance(error, kind)), BUG)


class SourceMeters:
    """Counts that only grow, and durations in seconds."""

    __slots__ = ("_source", "circuits", "outcomes", "retries", "seconds", "used_weight")

    def __init__(self, source: str) -> None:
        self._source = source
        self.outcomes: Counter[str] = Counter()  # of requests, by OUTCOMES
        self.seconds = Distribution()  # of requests
        self.retries = 0
        self.used_weight: int | None = None  # headers.used_weight of the last response that had it
        self.circuits: Counter[Circuit] = Counter()  # times that the breaker entered a state

    def record(self, outcome: str, seconds: float) -> None:
        """Count and log a request that has ended."""
        self.outcomes[outcome] += 1
        self.seconds.observe(seconds)
        log_request(self._source, outcome, seconds)

    def quota(self, headers: Mapping[str, str]) -> None:
        """Keep what a response says about the quota."""
        weight = used_weight(headers)
        if weight is not None:
            self.used_weight = weight

    def circuit(self, before: Circuit, after: Circuit) -> None:
        """Count the transition of the breaker, if it is one."""
        if after is not before:
            self.circuits[after] += 1
