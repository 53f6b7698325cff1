"""Everything that can be wrong with a source's answer, named.

SourceError
├── InvalidQuote        the body is no price: not JSON, wrong shape, wrong pair, out of range, too large
├── SourceRefused          the source itself says no in its body or its status: error object, 4xx, 5xx
│   ├── RateLimited    … because we ask too often; `retry_after` seconds if it said how long
│   │   └── Banned   … because it, or a network in front of it, blocks us
│   └── SourceUnavailable  … because it is in trouble itself (5xx): worth asking again soon
├── LocalError       no connection for want of a local descriptor, port or memory
└── SourceUnreachable      no whole answer: DNS, TLS, connection, deadline
    └── ConnectionDropped      … because a connection kept from before had ended: ask at once, on another
"""


class SourceError(Exception):
    """Why there is no quote, in words fit for /sources and the log: the message never quotes a whole body."""


class InvalidQuote(SourceError):
    """The body is no price."""


class SourceRefused(SourceError):
    """The source said no."""


class RateLimited(SourceRefused):
    """The source said: not so often."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds; None where the source gave no time


class Banned(RateLimited):
    """The source, or a network in front of it, blocks us."""


class SourceUnavailable(SourceRefused):
    """The source said: I am in trouble."""


class LocalError(SourceError):
    """This machine could not open a connection. Says nothing about the source."""


class SourceUnreachable(SourceError):
    """No whole answer came."""


class ConnectionDropped(SourceUnreachable):
    """No answer at all came by a connection kept from before, most likely as it had ended before we asked."""
