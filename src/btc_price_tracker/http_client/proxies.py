"""The proxies that the environment names, as curl understands them.

HTTP_PROXY and HTTPS_PROXY, then ALL_PROXY name them; NO_PROXY names hosts that need none. Lower case wins. A proxy that
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
        """Whether it resolves names itself; else it gets addresses."""
        return self.url.scheme in (*_HTTP, *_WITH_NAMES)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of the environment."""

    urls: Mapping[str, str]  # by scheme, and for "all"
    excluded: tuple[str, ...]  # the entries of NO_PROXY

    @classmethod
    def of_environment(cls) -> "Proxies":
        """Read them now; on macOS, the system's settings where the environment has none."""
        found = getproxies()
        return cls(found, tuple(found.get("no", "").replace(",", " ").split()))

    def proxy_for(self, url: URL) -> Proxy | None:
        """Return the proxy for a URL; None if it needs none, as on this machine.

        Raises HttpClientError if the proxy can't be used.
        """
        if not self.urls or url.host is None or _is_this_machine(url.host) or self._is_excluded(url):
            return None
        kind = url.scheme if self.urls.get(url.scheme) else "all"
        named = self.urls.get(kind)
        return _proxy(named, _variable(kind)) if named else None

    def _is_excluded(self, url: URL) -> bool:
        if sys.platform == "darwin" and proxy_bypass(str(url.host)):  # by the system's settings
            return True
        return any(_covers(entry, str(url.host), url.port) for entry in self.excluded)


NO_PROXIES = Proxies({}, ())


def _is_this_machine(host: str) -> bool:
    """Loopback hosts (servers, mirrors, the playback) are reached without a proxy, unlike in curl."""
    name = host.rstrip(".")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _covers(entry: str, host: str, port: int | None) -> bool:
    """Whether an entry of NO_PROXY covers a host: `*`, its address or network, its name or a parent domain."""
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
    """Split off the port that may follow a host or network, which may be in brackets."""
    name, _, port = entry.rpartition(":")
    if port.isdecimal() and (":" not in name or name.endswith("]")):
        return name.strip("[]"), int(port)
    return entry.strip("[]"), None


def _proxy(named: str, variable: str) -> Proxy:
    """Parse the URL of a proxy. Raises HttpClientError if it is none."""
    text = named if "://" in named else f"http://{named}"
    if text.startswith("socks://"):
        text = text.replace("socks", "socks4", 1)  # as curl reads it
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in (*_HTTP, *_SOCKS) or not url.host:
        raise HttpClientError(
            f"{variable} can't be used: set a proxy like http://host:3128 or socks5h://host:1080, or unset it"
        )
    return Proxy(url if url.port else url.with_port(SOCKS_PORT), variable)


def _variable(kind: str) -> str:
    """Return the variable that names the proxy of a kind, as spelled in this environment."""
    name = f"{kind}_proxy"
    return name if os.environ.get(name) else name.upper()
