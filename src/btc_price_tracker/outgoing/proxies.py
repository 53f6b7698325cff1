"""The proxies that the environment names: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, in small letters too."""

import os
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from btc_price_tracker.outgoing.error import OutgoingError

# Servers, mirrors, the playback on this machine: ours to reach without a proxy, whatever HTTP_PROXY says.
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def proxies() -> dict[str, str]:
    """The proxy for each scheme, and for `all`, as URLs. Raises OutgoingError."""
    named = {scheme: url for scheme, url in getproxies().items() if scheme in ("http", "https", "all")}
    urls = {scheme: _as_url(proxy) for scheme, proxy in named.items()}
    if bad := {proxy for scheme, proxy in named.items() if not _is_proxy(urls[scheme])}:
        names = [
            name for name, value in os.environ.items() if name.lower().endswith("_proxy") and value in bad
        ]
        raise OutgoingError(
            f"{', '.join(names)} can't be used: give a proxy like http://host:3128, or unset it"
        )
    return urls


def way(url: URL, proxies: Mapping[str, str]) -> str | None:
    """The proxy on the way to a URL; None where there is none, above all to this machine."""
    if not proxies or url.host is None or url.host in _LOOPBACK or _is_left_out(url.host, url.port):
        return None
    return proxies.get(url.scheme) or proxies.get("all")


def _as_url(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_proxy(url: str) -> bool:
    try:
        parsed = URL(url)
    except ValueError:
        return False
    return parsed.scheme in ("http", "https") and parsed.host is not None


def _is_left_out(host: str, port: int | None) -> bool:
    """Whether NO_PROXY names the host, alone or with its port, a domain that it is in, or a network (CIDR)."""
    name = f"[{host}]" if ":" in host else host
    networks = getproxies().get("no", "").split(",")
    return bool(proxy_bypass(f"{name}:{port}")) or any(_contains(each.strip(), host) for each in networks)


def _contains(network: str, host: str) -> bool:
    with suppress(ValueError):  # a name, not an address
        return ip_address(host) in ip_network(network, strict=False)
    return False
