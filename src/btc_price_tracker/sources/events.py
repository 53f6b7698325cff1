"""What is logged about a source: changes only, and every decision at `debug`."""

import structlog

from btc_price_tracker.sources.breaker import Breaker, Circuit

_log = structlog.get_logger(__name__)


def log_error(
    source: str, previous: str | None, error: str | None, *, attempts: int, status: int | None
) -> None:
    """Log the first failed poll, of so many requests, and the first successful one after it.

    `status` is that of the last HTTP response, None where none came.
    """
    if error is None and previous is not None:
        _log.info("source recovered", source=source)
    if error is not None and previous is None:
        _log.warning("source failed", source=source, error=error, status=status, attempts=attempts)


def log_circuit(source: str, previous: Circuit, breaker: Breaker, now: float) -> None:
    """Log that the circuit opened, and for how many seconds, or closed."""
    was_closed, is_closed = previous is Circuit.CLOSED, breaker.circuit is Circuit.CLOSED
    if was_closed and not is_closed:
        _log.debug("circuit opened", source=source, seconds=round(breaker.wait(now), 1))
    if is_closed and not was_closed:
        _log.debug("circuit closed", source=source)


def log_rate_limit(source: str, seconds: float) -> None:
    """Log that the source asked for a pause, and how long it will be."""
    _log.debug("rate limited", source=source, seconds=round(seconds, 1))


def log_request(source: str, outcome: str, seconds: float) -> None:
    """Log a request that has ended."""
    _log.debug("source request", source=source, outcome=outcome, seconds=round(seconds, 3))


def log_not_polled(source: str, wait: float, circuit: Circuit) -> None:
    """Log that no request is sent in this round, since the quota, in seconds, or the circuit doesn't allow it."""
    _log.debug("source not polled", source=source, quota_wait_s=round(max(wait, 0.0), 1), circuit=circuit)
