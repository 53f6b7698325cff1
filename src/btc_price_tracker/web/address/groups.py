"""Addresses as limits count them: IPv4 each by itself, IPv6 by /64, of which one host has as many as it likes."""

import socket

Group = bytes | str  # 4 bytes of IPv4, 8 of IPv6; text where a proxy hides the address behind an identifier

_MAPPED = bytes(10) + b"\xff\xff"  # the prefix of an IPv4 address in IPv6 (RFC 4291, 2.5.5.2)


def packed(host: str) -> bytes | None:
    """The 4 or 16 bytes of an address, IPv4-mapped ones as IPv4; None if `host` is none. A zone is ignored."""
    try:
        if ":" not in host:
            return socket.inet_pton(socket.AF_INET, host)
        address = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):  # the latter from a null character or one beyond ASCII
        return None
    return address[12:] if address.startswith(_MAPPED) else address


def group_of(host: str) -> Group:
    """What the limits of an address count `host` as."""
    address = packed(host)
    return host if address is None else address[:8]
