"""Every error that this package raises for its callers, as a tree; `str()` of each is a sentence for an operator.

TrackerError
├── SettingsError              the settings are invalid: `faults`, one sentence each
├── StoreError                 the store can't do what was asked
│   └── InvalidStoreUrl        … because of its URL: it never will
├── BrokerError                the broker can't do what was asked
│   ├── InvalidBrokerUrl       … because of its URL: it never will
│   ├── BrokerUnavailable      … because it fails, refuses or can't be reached: it may later
│   ├── LeaseLost              … because this instance doesn't lead any more
│   └── InvalidMessage         what the broker holds there is no update
├── RecordError                a file to import has something other than ticks in it: `line`
├── ServerError                the server that a command asks gave no prices
├── HttpClientError            the environment names a proxy or certificates that can't be used; an OSError, too
└── SourceError                a source gave no quote
    ├── InvalidQuote           the body is no price: not JSON, wrong shape, wrong pair, out of range, too large
    ├── SourceRefused          the source itself says no, in its body or its status: error object, 4xx, 5xx
    │   ├── RateLimited        … because it is asked too often: `retry_after`, if it said for how long
    │   │   └── Banned         … because it, or a network in front of it, blocks this address
    │   └── SourceUnavailable  … because it is in trouble itself (5xx): worth asking again soon
    ├── SourceUnreachable      no complete response: DNS, TLS, connection, deadline
    │   └── ConnectionDropped  … because a kept connection had ended: ask again at once, on another
    └── LocalError             no connection for want of a local descriptor, port or memory: says nothing of the source

HTTP responses that are errors are `web.problems.Problem`. What aiohttp raises is its own.
"""

from collections.abc import Iterable


class TrackerError(Exception):
    """The root of the tree."""


class SettingsError(TrackerError):
    """Everything that is wrong with the settings."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"  {fault}" for fault in self.faults))


class StoreError(TrackerError):
    """The store can't do what was asked. The message names the fault and the remedy and holds no password."""


class InvalidStoreUrl(StoreError):
    """The URL itself is wrong: no store will come of it, however long one waits."""


class BrokerError(TrackerError):
    """The broker can't do what was asked. The message names the fault and the remedy and holds no password."""


class InvalidBrokerUrl(BrokerError):
    """The URL itself is wrong: no broker will come of it, however long one waits."""


class BrokerUnavailable(BrokerError):
    """The broker can't be reached, refuses, or is full. The outcome of what was asked is unknown."""


class LeaseLost(BrokerError):
    """Another instance leads, or may lead by now: this one must not publish."""


class InvalidMessage(BrokerError):
    """A message in the broker is not an update, or not one that this version can read."""


class RecordError(TrackerError):
    """A file with something other than ticks in it."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        self.line = line  # None where the file as a whole can't be read
        super().__init__(reason if line is None else f"line {line}: {reason}")


class ServerError(TrackerError):
    """The server can't be reached, refuses, or is not a btc-price-tracker."""


class HttpClientError(TrackerError, OSError):
    """An environment variable names a proxy or certificates that can't be used. The message names the remedy."""


class SourceError(TrackerError):
    """Why there is no quote, in words fit for /sources and the log: the message never quotes a whole body."""


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
    """The source is in trouble itself."""


class SourceUnreachable(SourceError):
    """No complete response came."""


class ConnectionDropped(SourceUnreachable):
    """A kept connection ended without any response, most likely before the request reached the source."""


class LocalError(SourceError):
    """This machine could not open a connection."""


def system_words(error: OSError) -> str:
    """What the system says of an error: without its number, and without the file, which the caller names."""
    said = error.strerror or str(error)
    return said[:1].lower() + said[1:] if error.errno is not None else said
