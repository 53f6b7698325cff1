"""Why a store failed, for people: it says so itself, or it has a bug."""

from typing import NamedTuple

from btc_price_tracker.errors import StoreError


class Failure(NamedTuple):
    """The reason in words, and the bug, if it is one, whose traceback belongs in the log once."""

    reason: str
    bug: Exception | None


def failure(error: Exception) -> Failure:
    """What an exception of a store means. All that isn't a StoreError is a bug, which mustn't stop the price."""
    if isinstance(error, StoreError):
        return Failure(str(error), None)
    return Failure(f"a bug in the store ({type(error).__name__}); the log has its traceback", error)
