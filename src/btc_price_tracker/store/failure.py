"""The reason why a store failed, for logs and status pages."""

from typing import NamedTuple

from btc_price_tracker.errors import StoreError


class Failure(NamedTuple):
    """The reason as text; and the exception if it is a bug, whose traceback is logged once."""

    reason: str
    bug: Exception | None


def failure(error: Exception) -> Failure:
    """Classify an exception raised by a store: whatever isn't a StoreError is a bug, which must not stop the price."""
    if isinstance(error, StoreError):
        return Failure(str(error), None)
    return Failure(f"bug in the store ({type(error).__name__}); see its traceback in the log", error)
