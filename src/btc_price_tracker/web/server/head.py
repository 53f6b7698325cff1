"""The head of a request: checks of RFC 9112 that the parser leaves to the server."""

import re
from collections.abc import Iterable
from itertools import chain

BLANKS = b" \t"  # not part of a field value (RFC 9110, 5.5), though the parser leaves trailing ones

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")  # the characters of uri-host [":" port]

Fields = Iterable[tuple[bytes, bytes]]


def size(url: bytes, fields: Fields) -> int:
    """The size of a head in bytes, without method and version."""
    parts = list(chain(*fields))
    return len(url) + sum(map(len, parts)) + 2 * len(parts)


def host_fault(version: str, fields: Fields) -> str | None:
    """The fault of the Host field that makes a request a 400 (RFC 9112, 3.2), or None."""
    hosts = [value for name, value in fields if name == b"host"]
    if not hosts:
        return None if version == "1.0" else "Host is missing: HTTP/1.1 requires it (RFC 9112, 3.2)."
    if len(hosts) > 1:
        return f"Host is present {len(hosts)} times: send it once (RFC 9112, 3.2)."
    if not _HOST.fullmatch(hosts[0].strip(BLANKS)):
        return "Host is invalid: send a host name or address and an optional port (RFC 9112, 3.2)."
    return None


def without_upgrade(method: bytes, url: bytes, version: str, fields: Fields) -> bytes:
    """Encode a head without Upgrade, which a server may ignore (RFC 9110, 7.8)."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    lines += [b"%b: %b" % field for field in fields if field[0] != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])
