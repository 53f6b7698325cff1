"""The proxies that the environment names, as curl understands them.

HTTP_PROXY and HTTPS_PROXY, then ALL_PROXY name them; NO_PROXY names what needs none. Small letters win. A proxy that
can't be used is an error only for the URLs that need it.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from btc_price_tracker.errors import HttpClientError

SOCKS_PORT = 1080
_HTTP = ("http", "https")
_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")
_WITH_NAMES = ("socks4a", "socks5h")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: HTTP, HTTPS or SOCKS."""

    url: URL
    variable: str  # of the environment, by which it is named

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS."""
        return self.url.scheme in _SOCKS

    @property
    def takes_names(self) -> bool:
        """Whether it resolves names itself; else it is given addresses."""
        return self.url.scheme in (*_HTTP, *_WITH_NAMES)


@dataclass(frozen=True, slots=True)
class Proxies:
    """What the environment says about proxies."""

    urls: Mapping[str, str]  # by scheme, and for "all"
    left_out: tuple[str, ...]  # the entries of NO_PROXY

    @classmethod
    def of_environment(cls) -> "Proxies":
        """As it says now; on macOS, the system's settings where it says nothing."""
        found = getproxies()
        return cls(found, tuple(found.get("no", "").replace(",", " ").split()))

    def proxy_for(self, url: URL) -> Proxy | None:
        """The proxy for a URL; None where it needs none, above all on this machine.

        Raises HttpClientError where it can't be used.
        """
        if not self.urls or url.host is None or _is_this_machine(url.host) or self._is_left_out(url):
            return None
        kind = url.scheme if self.urls.get(url.scheme) else "all"
        named = self.urls.get(kind)
        return _proxy(named, _variable(kind)) if named else None

    def _is_left_out(self, url: URL) -> bool:
        if sys.platform == "darwin" and proxy_bypass(str(url.host)):  # by the system's settings
            return True
        return any(_covers(entry, str(url.host), url.port) for entry in self.left_out)


NO_PROXIES = Proxies({}, ())


def _is_this_machine(host: str) -> bool:
    """Servers, mirrors, the playback on this machine are ours to reach without a proxy, whatever curl does."""
    name = host.rstrip(".")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _covers(entry: str, host: str, port: int | None) -> bool:
    """Whether an entry of NO_PROXY means a host: `*`, its address or network, itself or a domain above it."""
    if entry == "*":
        return True
    name, only = _with_port(entry)
    if only not in (None, port):
        return False
    try:
        return ip_address(host) in ip_network(name, strict=False)
    except ValueError:
        domain, host = name.removeprefix("*").strip(".").lower(), host.rstrip(".").lower()
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _with_port(entry: str) -> tuple[str, int | None]:
    """A host or network, perhaps in brackets, and the port that may follow it."""
    name, _, port = entry.rpartition(":")
    if port.isdecimal() and (":" not in name or name.endswith("]")):
        return name.strip("[]"), int(port)
    return entry.strip("[]"), None


def _proxy(named: str, variable: str) -> Proxy:
    """Raises HttpClientError where this is no proxy."""
    text = named if "://" in named else f"http://{named}"
    if text.startswith("socks://"):
        text = text.replace("socks", "socks4", 1)  # as curl reads it
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in (*_HTTP, *_SOCKS) or not url.host:
        raise HttpClientError(
            f"{variable} can't be used: give a proxy like http://host:3128 or socks5h://host:1080, or unset it"
        )
    return Proxy(url if url.port else url.with_port(SOCKS_PORT), variable)


def _variable(kind: str) -> str:
    """The variable that names the proxy of a kind, as it is written in this environment."""
    name = f"{kind}_proxy"
    return name if os.environ.get(name) else name.upper()
