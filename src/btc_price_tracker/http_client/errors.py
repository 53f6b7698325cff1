"""Errors of requests to other hosts, and how they are described to an operator."""

import errno
import os
import socket
import ssl
from collections.abc import Iterator

import aiohttp


class ConnectionEnded(aiohttp.ClientError):
    """A kept connection ended without a response, most likely before the request was sent: retry at once."""


class TooLongHead(aiohttp.ClientError):
    """The server sends interim responses, or one head, without end."""


class ResponseTooLarge(aiohttp.ClientError):
    """The body is larger than the caller accepts, or takes far more bytes than that."""


class ProxyUnknown(aiohttp.ClientError):
    """The proxy's name can't be resolved. (The server's is for the proxy to resolve.)"""


class ProxyRefused(aiohttp.ClientError):
    """The proxy makes no connection: it can't reach the server, or rejects our credentials."""


_DESCRIPTIONS: tuple[tuple[type[BaseException], str], ...] = (
    (ProxyUnknown, "proxy name not resolved (DNS)"),
    (ProxyRefused, "no connection through the proxy"),
    (aiohttp.ClientProxyConnectionError, "no connection to the proxy"),
    (socket.gaierror, "host name not resolved (DNS)"),
    (ssl.SSLError, "TLS failed: no valid certificate, or not TLS at all"),
    (ConnectionRefusedError, "connection refused"),
    (aiohttp.ConnectionTimeoutError, "connect timeout"),
    (aiohttp.SocketTimeoutError, "read timeout"),
    (aiohttp.ClientHttpProxyError, "the proxy refused the request"),
    (ConnectionError, "connection reset"),
    (aiohttp.ClientConnectorError, "no connection"),
    (TooLongHead, "the response head is too long"),
    (ValueError, "the request can't be sent"),
    (aiohttp.ClientError, "the response is incomplete or not HTTP"),
)

# Out of descriptors, buffers, memory or ports.
_LOCAL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)


def is_local(error: BaseException) -> bool:
    """Whether this machine couldn't open a connection, which is no evidence about the server."""
    return _local_errno(error) is not None


def describe_error(error: BaseException) -> str:
    """Return what went wrong with a request: the first description above that fits any of the causes."""
    if number := _local_errno(error):
        return f"this machine can't open a connection ({os.strerror(number)})"
    causes = list(_causes(error))
    fitting = (text for kind, text in _DESCRIPTIONS if any(isinstance(cause, kind) for cause in causes))
    return next(fitting, f"no response ({type(error).__name__})")


def _local_errno(error: BaseException) -> int | None:
    numbers = (cause.errno for cause in _causes(error) if isinstance(cause, OSError))
    return next((number for number in numbers if number in _LOCAL), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and everything that led to it, groups of attempts (IPv6, IPv4) included."""
    yield error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for each in (*inner, error.__cause__ or error.__context__):
        if each is not None:
            yield from _causes(each)
