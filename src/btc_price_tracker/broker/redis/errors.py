"""What Redis or the way to it says went wrong, in words that name the remedy."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis import exceptions

from btc_price_tracker.errors import BrokerUnavailable, LeaseLost

# Of Redis' errors, by their first word; redis-py takes some of these words away and has classes for them.
_REMEDIES = {
    "WRONGPASS": "it refuses the user or the password; correct BROKER_URL",
    "NOAUTH": "it wants a password; add it to BROKER_URL",
    "WRONGTYPE": "one of its keys that begin with {btc-price-tracker} holds something else; delete that key",
    "MISCONF": "it can't write to its disk and so refuses writes; look at its log",
    "NOREPLICAS": "it has too few replicas to accept writes; look at them",
    "CROSSSLOT": "it is a cluster that doesn't keep our keys together; use Redis 7 or newer, or Valkey",
    "MOVED": "it is a cluster; give the URL of a single Redis or Valkey",
    "MASTERDOWN": "its primary is down; it is tried again",
}
_CLASSES: list[tuple[type[Exception], str]] = [
    (exceptions.OutOfMemoryError, "it is full; raise its maxmemory, or free memory"),
    (exceptions.ReadOnlyError, "it is a read-only replica; give the URL of the primary in BROKER_URL"),
    (exceptions.NoPermissionError, "this user may not do that; grant it the keys {btc-price-tracker}*"),
    (exceptions.BusyLoadingError, "it is loading its data; it is tried again"),
    (exceptions.AuthenticationError, _REMEDIES["WRONGPASS"]),
    (exceptions.AuthenticationWrongNumberOfArgsError, _REMEDIES["WRONGPASS"]),
    (
        exceptions.TimeoutError,
        "no answer in time; check that it runs and isn't overloaded, and whether its port speaks TLS",
    ),
    (exceptions.ConnectionError, "it can't be reached; check host and port in BROKER_URL, and that it runs"),
]
_TLS = (
    "TLS failed; check that it speaks TLS on this port and that its certificate is valid, "
    "and name its CA in SSL_CERT_FILE if that isn't a public one"
)


@asynccontextmanager
async def attempt(seconds: float) -> AsyncIterator[None]:
    """Give what is inside so many seconds; what the client library raises leaves as BrokerUnavailable.

    Its own socket_timeout isn't used: until Python 3.12, the asyncio.wait_for behind it can swallow a cancellation.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except (exceptions.RedisError, OSError) as error:
        raise unavailable(error) from error


def unavailable(error: Exception) -> BrokerUnavailable:
    """The same fault as a BrokerUnavailable that names the remedy."""
    if isinstance(error, TimeoutError):
        error = exceptions.TimeoutError("timeout")
    words = re.sub(r"\[?Errno -?[0-9]+\]? ", "", str(error)).rstrip(".") or type(error).__name__
    return BrokerUnavailable(f"redis: {_remedy(error)} ({words})")


def lease_lost() -> LeaseLost:
    """For a term whose lease the script didn't find."""
    return LeaseLost("the lease has expired, or another instance has it")


def _remedy(error: Exception) -> str:
    if _is_tls(error):
        return _TLS
    word = str(error).partition(" ")[0]
    if word in _REMEDIES:
        return _REMEDIES[word]
    if "NOAUTH" in str(error) or "Authentication required" in str(error):
        return _REMEDIES["NOAUTH"]
    return next((remedy for kind, remedy in _CLASSES if isinstance(error, kind)), "it returned an error")


def _is_tls(error: BaseException | None) -> bool:
    """Whether an error of TLS lies below this one."""
    while error is not None:
        if isinstance(error, ssl.SSLError) or "SSL" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
