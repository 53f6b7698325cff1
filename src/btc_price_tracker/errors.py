"""Every error that this package raises for its callers, as a tree; `str()` of each is a sentence for an operator.

TrackerError
├── SettingsError              the settings are invalid: `faults`, one sentence each
├── StoreError                 an operation of the store failed
│   ├── InvalidStoreUrl        … because its URL is malformed: retrying is useless
│   ├── StoreInUse             … because another process has it open
│   └── StoreClosed            … because it was closed
├── BrokerError                an operation of the broker failed
│   ├── InvalidBrokerUrl       … because its URL is malformed: retrying is useless
│   ├── BrokerUnavailable      … because it fails, refuses or can't be reached: it may succeed later
│   ├── LeaseLost              … because this instance doesn't lead any more
│   ├── ClockContradicted      … because the clock of this instance is wrong, so it leaves leading to another
│   └── InvalidMessage         … because a message in it is no update
├── RecordError                a file to import has something other than ticks in it: `line`
├── TokensError                the file of access tokens can't be read or written
├── ServerError                the server that a command asks gave no prices
├── HttpClientError            the environment names a proxy or certificates that can't be used; an OSError, too
└── SourceError                a source gave no quote
    ├── InvalidQuote           the body is no price: not JSON, wrong shape, wrong pair, out of range, too large
    ├── SourceRefused          the source returned an error: error object in the body, 4xx, 5xx
    │   ├── RateLimited        … because of too many requests: `retry_after`, if it gave a time
    │   │   └── Banned         … because it, or a network in front of it, blocks this address
    │   └── SourceUnavailable  … because it fails itself (5xx): worth a retry soon
    ├── SourceUnreachable      no complete response: DNS, TLS, connection, deadline
    │   └── ConnectionDropped  … because a kept connection had ended: retry at once, on another
    └── LocalError             no connection for lack of local descriptors, ports or memory: no fault of the source

HTTP responses that are errors are `web.problems.Problem`. What aiohttp raises is its own.
"""

from collections.abc import Iterable

from btc_price_tracker.printable import printable

__all__ = [
    "Banned",
    "BrokerError",
    "BrokerUnavailable",
    "ClockContradicted",
    "ConnectionDropped",
    "HttpClientError",
    "InvalidBrokerUrl",
    "InvalidMessage",
    "InvalidQuote",
    "InvalidStoreUrl",
    "LeaseLost",
    "LocalError",
    "RateLimited",
    "RecordError",
    "ServerError",
    "SettingsError",
    "SourceError",
    "SourceRefused",
    "SourceUnavailable",
    "SourceUnreachable",
    "StoreClosed",
    "StoreError",
    "StoreInUse",
    "TokensError",
    "TrackerError",
    "describe_os_error",
]


class TrackerError(Exception):
    """The root of the tree."""


class SettingsError(TrackerError):
    """Everything that is wrong with the settings."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"  {fault}" for fault in self.faults))


class StoreError(TrackerError):
    """An operation of the store failed. The message names the fault and the remedy and contains no password."""


class InvalidStoreUrl(StoreError):
    """The URL is malformed, so the store can never be opened and retrying is useless."""


class StoreInUse(StoreError):
    """Another process has the store open; perhaps the service itself."""


class StoreClosed(StoreError):
    """The store was closed before the call."""

    def __init__(self) -> None:
        super().__init__("the store is closed")


class BrokerError(TrackerError):
    """An operation of the broker failed. The message names the fault and the remedy and holds no password."""


class InvalidBrokerUrl(BrokerError):
    """The URL is malformed, so the broker can never be reached and retrying is useless."""


class BrokerUnavailable(BrokerError):
    """The broker can't be reached, refuses, or is full. The outcome of the operation is unknown."""


class LeaseLost(BrokerError):
    """Another instance leads, or may lead by now: this one must not publish."""


class ClockContradicted(BrokerError):
    """Most sources contradict the clock of the instance that leads, so it leaves that to another."""


class InvalidMessage(BrokerError):
    """A message in the broker is not an update, or not one that this version can read."""


class RecordError(TrackerError):
    """A file with something other than ticks in it."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        self.line = line  # None where the file as a whole can't be read
        super().__init__(reason if line is None else f"line {line}: {reason}")


class TokensError(TrackerError):
    """The file of access tokens can't be read or written. The message names the remedy and holds no token."""


class ServerError(TrackerError):
    """The server can't be reached, refuses, or is not a btc-price-tracker."""


class HttpClientError(TrackerError, OSError):
    """An environment variable names a proxy or certificates that can't be used. The message names the remedy."""


class SourceError(TrackerError):
    """Why there is no quote, as a text for /sources and the log, which may quote the source.

    This is where that text is made safe to print, for every way by which it leaves: see `printable`.
    """

    MAX_LENGTH = 400  # characters; the longest of ours quote three values of 80

    def __init__(self, message: str) -> None:
        self.status: int | None = None  # of the HTTP response; None if no complete one came
        super().__init__(printable(message)[: self.MAX_LENGTH])


class InvalidQuote(SourceError):
    """The body is no price."""


class SourceRefused(SourceError):
    """The source returned an error."""


class RateLimited(SourceRefused):
    """The source asks for fewer requests."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after  # seconds; None where the source gave no time
        super().__init__(message)


class Banned(RateLimited):
    """The source, or a network in front of it, blocks this address."""


class SourceUnavailable(SourceRefused):
    """The source fails itself."""


class SourceUnreachable(SourceError):
    """No complete response came."""


class ConnectionDropped(SourceUnreachable):
    """A kept connection ended without any response, most likely before the request reached the source."""


class LocalError(SourceError):
    """This machine could not open a connection."""


def describe_os_error(error: OSError) -> str:
    """The system's message for an error, without its number and without the file, which the caller names."""
    message = error.strerror or str(error)
    return message[:1].lower() + message[1:] if error.errno is not None else message
