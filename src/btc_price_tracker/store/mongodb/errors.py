"""What MongoDB or the way to it says went wrong, in words that name the remedy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
from bson.errors import BSONError
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
)

from btc_price_tracker.errors import InvalidStoreUrl, StoreError

PATIENCE = 5.0  # seconds for one piece of work, with finding a server that can do it
_DUPLICATE = 11000

# By the server's code (mongodb.com/docs/manual/reference/error-codes).
_REMEDIES = {
    13: "this user may not do that; grant it the role readWrite",
    18: "it refuses the user or the password; correct STORE_URL, and its authSource",
    50: "no answer in time; look at the server's load",
    8000: "it refuses the user or the password; correct STORE_URL",
    14031: "its disk is full; make room, and it goes on by itself",
}


@contextmanager
def attempt() -> Iterator[None]:
    """What the driver does inside ends in time, and its faults leave as StoreError."""
    try:
        with pymongo.timeout(PATIENCE):
            yield
    except (PyMongoError, BSONError, OverflowError) as error:
        raise store_error(error) from error


def only_duplicates(error: BulkWriteError) -> bool:
    """Did a bulk of inserts fail for nothing but ids that are kept already?"""
    details = error.details or {}
    faults = details.get("writeErrors", [])
    return not details.get("writeConcernErrors") and all(fault["code"] == _DUPLICATE for fault in faults)


def store_error(error: Exception) -> StoreError:
    """The same fault as a StoreError that names the remedy."""
    return StoreError(f"mongodb: {_remedy(error)} ({_words(error)})")


def unreadable_url() -> InvalidStoreUrl:
    """For a URL that can't be taken apart. The driver's own words might hold a part of the password."""
    return InvalidStoreUrl(
        "STORE_URL can't be read; it goes mongodb://user:password@host:27017/database?tls=true, "
        "with special characters in user and password percent-encoded (p@ss is p%40ss), and known options"
    )


def _remedy(error: Exception) -> str:
    if isinstance(error, OperationFailure) and error.code in _REMEDIES:
        return _REMEDIES[error.code]
    if isinstance(error, NotPrimaryError):
        return "the primary changes; it is tried again"
    if isinstance(error, NetworkTimeout) or getattr(error, "timeout", False):
        return "no answer in time; check host and port in STORE_URL, and that it runs and isn't overloaded"
    if isinstance(error, ConnectionFailure):
        return "it can't be reached; check host, port and TLS in STORE_URL, and that it runs"
    if isinstance(error, ConfigurationError):
        return "STORE_URL leads nowhere; correct it"
    return "the database failed"


def _words(error: Exception) -> str:
    """Without the driver's view of the whole cluster, and the system's numbers."""
    words = str(error).partition(", full error")[0].partition(", Timeout:")[0]
    return re.sub(r"\[Errno -?[0-9]+\] ", "", words)
