"""What NATS or the way to it says went wrong, in words that name the remedy."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nats import errors
from nats.js.errors import APIError, NoStreamResponseError, ServiceUnavailableError

from btc_price_tracker.broker.cancellation import cancellation_kept
from btc_price_tracker.errors import BrokerUnavailable

WRONG_SEQUENCE = 10071  # error code of a message whose expected last sequence isn't the last one

_REFUSED = "it refuses the user, password or token; correct BROKER_URL"
_PERMISSION = "this user may not do that; grant it the stream and its subjects, $JS.API.> and _INBOX.>"
_JETSTREAM = "it has no JetStream for this account; start it with -js, or enable JetStream for the account"
_FULL = "its JetStream is full; raise its limits, or delete streams"
_TLS = (
    "TLS failed; check that it speaks TLS on this port (tls:// in BROKER_URL, or nats:// if not) and that its "
    "certificate is valid, and name its CA in SSL_CERT_FILE if that isn't a public one"
)
# By what the error's text holds: the client has one class for whatever the server says.
_TEXTS = {
    "authorization violation": _REFUSED,
    "permissions violation": _PERMISSION,
    "jetstream not enabled": _JETSTREAM,
    "resource limits exceeded": _FULL,
    "insufficient": _FULL,
    "maximum bytes exceeded": _FULL,
    "no space": _FULL,
    "subjects overlap": "another stream has our subjects; delete it, or name another prefix: nats://host/name",
    "secure connection": _TLS,
    "ssl": _TLS,
}
_CLASSES: list[tuple[type[Exception], str]] = [
    (NoStreamResponseError, "the stream is gone, or JetStream is down; it is looked for again"),
    (errors.NoRespondersError, _JETSTREAM),
    (ServiceUnavailableError, _JETSTREAM),
    (APIError, "it returned an error"),
    (TimeoutError, "no answer in time; check that it runs and isn't overloaded"),
    (errors.Error, "it can't be reached; check host and port in BROKER_URL, and that it runs"),
    (OSError, "it can't be reached; check host and port in BROKER_URL, and that it runs"),
]


@asynccontextmanager
async def attempt(seconds: float) -> AsyncIterator[None]:
    """Give what is inside so many seconds; what the client library raises leaves as BrokerUnavailable."""
    try:
        async with asyncio.timeout(seconds):
            with cancellation_kept():
                yield
    except (errors.Error, OSError, TimeoutError) as error:
        raise unavailable(error) from error


def unavailable(error: Exception) -> BrokerUnavailable:
    """The same fault as a BrokerUnavailable that names the remedy."""
    words = getattr(error, "description", None) or str(error).removeprefix("nats: ") or type(error).__name__
    return BrokerUnavailable(f"nats: {_remedy(error, words)} ({words})")


def _remedy(error: Exception, words: str) -> str:
    if isinstance(error, ssl.SSLError):
        return _TLS
    for text, remedy in _TEXTS.items():
        if text in words.lower():
            return remedy
    return next(remedy for kind, remedy in _CLASSES if isinstance(error, kind))
