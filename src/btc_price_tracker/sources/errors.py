"""Everything that can be wrong with a source's answer, named.

SourceFault
├── NotAQuote        the body is no price: not JSON, wrong shape, wrong pair, out of range, too large
├── Refused          the source itself says no in its body or its status: error object, 4xx, 5xx
│   ├── Throttled    … because we ask too often; `retry_after` seconds if it said how long
│   │   └── Banned   … because it, or a network in front of it, blocks us
│   └── Unavailable  … because it is in trouble itself (5xx): worth asking again soon
├── LocalFault       no connection for want of a local descriptor, port or memory
└── Unreachable      no whole answer: DNS, TLS, connection, deadline
    └── Dropped      … because a connection kept from before had ended: ask at once, on another
"""


class SourceFault(Exception):
    """Why there is no quote, in words fit for /sources and the log: the message never quotes a whole body."""


class NotAQuote(SourceFault):
    """The body is no price."""


class Refused(SourceFault):
    """The source said no."""


class Throttled(Refused):
    """The source said: not so often."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds; None where the source gave no time


class Banned(Throttled):
    """The source, or a network in front of it, blocks us."""


class Unavailable(Refused):
    """The source said: I am in trouble."""


class LocalFault(SourceFault):
    """This machine could not open a connection. Says nothing about the source."""


class Unreachable(SourceFault):
    """No whole answer came."""


class Dropped(Unreachable):
    """No answer at all came by a connection kept from before, most likely as it had ended before we asked."""
