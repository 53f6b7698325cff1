"""HTTP to elsewhere, by way of the proxies and with the certificates that the environment names."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import httpx2

_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")
# Ours to reach without a proxy, whatever HTTP_PROXY says: servers, mirrors, the playback on this machine.
DIRECT: Mapping[str, None] = MappingProxyType(dict.fromkeys(_LOOPBACK))

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class OutgoingError(OSError):
    """A variable of the environment names what can't be used. The message names the remedy, too."""


@contextmanager
def in_words() -> Iterator[None]:
    """Around the making of an HTTP client: what the environment makes fail is an OutgoingError."""
    try:
        yield
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        names = ", ".join(name for name, url in os.environ.items() if _is_bad_proxy(name, url))
        raise OutgoingError(
            f"{names} can't be used: give a proxy like http://host:3128, or unset it"
        ) from error
    except OSError as error:
        raise OutgoingError(
            f"SSL_CERT_FILE can't be used ({error.strerror}): name a file of certificates (PEM), or unset it"
        ) from error


def _is_bad_proxy(name: str, url: str) -> bool:
    """Whether the variable names something else than a proxy over HTTP."""
    if not url or name.upper() not in _PROXIES:
        return False
    try:
        return httpx2.URL(url if "://" in url else f"http://{url}").scheme not in ("http", "https")
    except httpx2.InvalidURL:
        return True
