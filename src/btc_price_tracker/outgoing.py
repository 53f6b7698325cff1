"""HTTP to elsewhere, by way of the proxies and with the certificates that the environment names."""

import os
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

# Servers, mirrors, the playback on this machine: ours to reach without a proxy, whatever HTTP_PROXY says.
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class OutgoingError(OSError):
    """A variable of the environment names what can't be used. The message names the remedy, too."""


class Client:
    """Connections that are kept for the next request. Close it when done, as a context."""

    def __init__(
        self,
        timeout: aiohttp.ClientTimeout,
        headers: Mapping[str, str] | None = None,
        keep_alive: float = 15,
        *,
        use_proxies: bool = True,
    ) -> None:
        """Needs a running event loop; `keep_alive` in seconds. Raises OutgoingError."""
        self._proxies = _proxies() if use_proxies else {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=_certificates(), keepalive_timeout=keep_alive),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
            headers=headers,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    def get(
        self, url: URL, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Ask for a URL. No redirect is followed: an API that moves is a fault to look at.

        Raises aiohttp.ClientError, and ValueError where the request can't be sent; `in_words` says what they mean.
        """
        return self._session.get(url, headers=headers, proxy=self._proxy(url), allow_redirects=False)

    def _proxy(self, url: URL) -> str | None:
        if not self._proxies or url.host is None or url.host in _LOOPBACK or proxy_bypass(url.host):
            return None
        return self._proxies.get(url.scheme) or self._proxies.get("all")


_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "its name can't be resolved (DNS)"),
    (ssl.SSLError, "TLS failed: no valid certificate, or not TLS at all"),
    (ConnectionRefusedError, "the connection was refused"),
    (aiohttp.ConnectionTimeoutError, "no connection in time"),
    (aiohttp.SocketTimeoutError, "no answer in time"),
    (aiohttp.ClientHttpProxyError, "the proxy refused"),
    (aiohttp.ClientConnectorError, "no connection"),
    (ConnectionError, "the connection broke"),
    (aiohttp.ClientError, "the answer broke off or is not HTTP"),
    (ValueError, "the request can't be sent: check the URL and the key"),
)


def in_words(error: BaseException) -> str:
    """What went wrong with a request, by the first cause that we have words for."""
    everything = list(causes(error))
    said = (words for kind, words in _WORDS if any(isinstance(cause, kind) for cause in everything))
    return next(said, f"no answer ({type(error).__name__})")


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that led to it, groups of attempts (IPv6, IPv4) included."""
    yield error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for each in (*inner, error.__cause__ or error.__context__):
        if each is not None:
            yield from causes(each)


def _proxies() -> dict[str, str]:
    """The proxy for each scheme, and for `all`, as URLs. Raises OutgoingError."""
    named = {scheme: url for scheme, url in getproxies().items() if scheme in ("http", "https", "all")}
    proxies = {scheme: url if "://" in url else f"http://{url}" for scheme, url in named.items()}
    if bad := [scheme for scheme, url in proxies.items() if not _is_proxy(url)]:
        names = [name for name in os.environ if name.upper() in {f"{scheme.upper()}_PROXY" for scheme in bad}]
        raise OutgoingError(
            f"{', '.join(names)} can't be used: give a proxy like http://host:3128, or unset it"
        )
    return proxies


def _is_proxy(url: str) -> bool:
    try:
        parsed = URL(url)
    except ValueError:
        return False
    return parsed.scheme in ("http", "https") and parsed.host is not None


def _certificates() -> ssl.SSLContext:
    """Who is trusted: SSL_CERT_FILE or SSL_CERT_DIR, else whom this machine trusts. Raises OutgoingError."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        if sys.platform != "linux" and not (file or folder):
            import truststore  # noqa: PLC0415 - not there on Linux, where OpenSSL finds them by itself

            return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        raise OutgoingError(
            f"SSL_CERT_FILE can't be used ({error.strerror}): name a file of certificates (PEM), or unset it"
        ) from error
