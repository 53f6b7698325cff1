"""What goes wrong with a request, in words for an operator."""

import errno
import os
import socket
import ssl
from collections.abc import Iterator

import aiohttp

from btc_price_tracker.http_client.connection import TooLongHead
from btc_price_tracker.http_client.errors import ProxyRefused, ProxyUnknown

_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (ProxyUnknown, "the proxy's name can't be resolved (DNS)"),
    (ProxyRefused, "no connection through the proxy"),
    (aiohttp.ClientProxyConnectionError, "no connection to the proxy"),
    (socket.gaierror, "its name can't be resolved (DNS)"),
    (ssl.SSLError, "TLS failed: no valid certificate, or not TLS at all"),
    (ConnectionRefusedError, "the connection was refused"),
    (aiohttp.ConnectionTimeoutError, "no connection in time"),
    (aiohttp.SocketTimeoutError, "no answer in time"),
    (aiohttp.ClientHttpProxyError, "the proxy refused"),
    (ConnectionError, "the connection broke"),
    (aiohttp.ClientConnectorError, "no connection"),
    (TooLongHead, "the head of the answer has no end"),
    (ValueError, "the request can't be sent"),
    (aiohttp.ClientError, "the answer broke off or is not HTTP"),
)

_LOCAL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)


def is_local(error: BaseException) -> str | None:
    """Why this machine can't open a connection, or None if the fault isn't local."""
    numbers = [cause.errno for cause in _causes(error) if isinstance(cause, OSError)]
    lacking = next((number for number in numbers if number in _LOCAL), None)
    return None if lacking is None else f"this machine can't open a connection ({os.strerror(lacking)})"


def describe_error(error: BaseException) -> str:
    """What went wrong with a request: the first words above that fit any of the causes."""
    if local := is_local(error):
        return local
    everything = list(_causes(error))
    said = (words for kind, words in _WORDS if any(isinstance(cause, kind) for cause in everything))
    return next(said, f"no answer ({type(error).__name__})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that led to it, groups of attempts (IPv6, IPv4) included."""
    yield error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for each in (*inner, error.__cause__ or error.__context__):
        if each is not None:
            yield from _causes(each)
