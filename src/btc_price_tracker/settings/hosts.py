"""Host names as ALLOWED_HOSTS and the Host field have them, in one form."""

import re
from contextlib import suppress
from ipaddress import IPv6Address

ANY = "*"

_PORT = re.compile(r":[0-9]*$")
_PATTERN = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")  # a name or an IPv4 address


def normalized(host: str) -> str:
    """In lower case, without port, brackets and the dot of the root; an IPv6 address in its shortest form."""
    host = host.lower()
    if host.count(":") < 2 or host.startswith("["):
        host = _PORT.sub("", host)
    if ":" in host:
        with suppress(ValueError):
            return str(IPv6Address(host.removeprefix("[").removesuffix("]")))
    return host.removesuffix(".")


def allowed_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """The names of ALLOWED_HOSTS in that form. Raises ValueError if one can't be that of a request."""
    names = tuple(host if host == ANY else normalized(host) for host in hosts)
    if not names or not all(host == ANY or _is_name(name) for host, name in zip(hosts, names, strict=True)):
        raise ValueError("give names like example.com or *.example.com and addresses, or * for all")
    return names


def _is_name(name: str) -> bool:
    return _PATTERN.fullmatch(name) is not None or _is_ipv6(name)


def _is_ipv6(name: str) -> bool:
    with suppress(ValueError):
        return bool(IPv6Address(name).packed)
    return False
