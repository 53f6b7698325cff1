"""Errors of MongoDB and of the connection to it as StoreError, with the remedy."""

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

_DUPLICATE = 11000

# By the error code of the server (mongodb.com/docs/manual/reference/error-codes).
_REMEDIES = {
    13: "permission denied; grant this user the role readWrite",
    18: "authentication failed; correct user, password and authSource in STORE_URL",
    50: "no response in time; check the load of the server",
    8000: "authentication failed; correct user and password in STORE_URL",
    14031: "the disk of the server is full; free space, and it recovers on its own",
}


@contextmanager
def operation(seconds: float) -> Iterator[None]:
    """A block whose calls of the driver may take `seconds` in all, server selection included. Raises StoreError."""
    try:
        with pymongo.timeout(seconds):
            yield
    except (PyMongoError, BSONError, OverflowError) as error:
        raise store_error(error) from error


def only_duplicates(error: BulkWriteError) -> bool:
    """Whether every failed insert has an id that is already stored."""
    details = error.details or {}
    failed = details.get("writeErrors", [])
    return not details.get("writeConcernErrors") and all(each["code"] == _DUPLICATE for each in failed)


def store_error(error: Exception) -> StoreError:
    """The StoreError for an error of the driver; it names the remedy."""
    return StoreError(f"mongodb: {_remedy(error)} ({_text(error)})")


def invalid_url() -> InvalidStoreUrl:
    """The error for a malformed URL. The text of the driver is left out: it may contain a part of the password."""
    return InvalidStoreUrl(
        "STORE_URL can't be parsed; write mongodb://user:password@host:27017/database?tls=true, "
        "with special characters in user and password percent-encoded (p@ss is p%40ss), and known options"
    )


def _remedy(error: Exception) -> str:
    if isinstance(error, OperationFailure) and error.code in _REMEDIES:
        return _REMEDIES[error.code]
    if isinstance(error, NotPrimaryError):
        return "the primary is changing; it is retried"
    if isinstance(error, NetworkTimeout) or getattr(error, "timeout", False):
        return "no response in time; check host and port in STORE_URL, and the load of the server"
    if isinstance(error, ConnectionFailure):
        return "the server can't be reached; check host, port and TLS in STORE_URL, and that it is running"
    if isinstance(error, ConfigurationError):
        return "STORE_URL names no reachable server; correct it"
    return "the database failed"


def _text(error: Exception) -> str:
    """The text of the driver without its description of the cluster, and without error numbers."""
    text = str(error).partition(", full error")[0].partition(", Timeout:")[0]
    return re.sub(r"\[Errno -?[0-9]+\] ", "", text)
