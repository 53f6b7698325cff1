"""The head of a request: what RFC 9112 has a server check that the parser leaves to us."""

import re
from collections.abc import Iterable
from itertools import chain

BLANKS = b" \t"  # around the value of a field they are no part of it (RFC 9110, 5.5), though the parser leaves some

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")  # uri-host [":" port], as far as its letters go

Fields = Iterable[tuple[bytes, bytes]]


def size(url: bytes, fields: Fields) -> int:
    """Bytes of a head, without its method, its version and what separates them."""
    parts = list(chain(*fields))
    return len(url) + sum(map(len, parts)) + 2 * len(parts)


def host_fault(version: str, fields: Fields) -> str | None:
    """Why the Host of a request makes it a 400 (RFC 9112, 3.2); None where it doesn't."""
    hosts = [value for name, value in fields if name == b"host"]
    if not hosts:
        return None if version == "1.0" else "An HTTP/1.1 request needs a Host field (RFC 9112, 3.2)."
    if len(hosts) > 1:
        return f"A request has one Host field, not {len(hosts)} (RFC 9112, 3.2)."
    if not _HOST.fullmatch(hosts[0].strip(BLANKS)):
        return "The Host field is not a host and a port (RFC 9112, 3.2)."
    return None


def without_upgrade(method: bytes, url: bytes, version: str, fields: Fields) -> bytes:
    """The head of a request again, as if it offered no other protocol: a server may ignore that (RFC 9110, 7.8)."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    lines += [b"%b: %b" % field for field in fields if field[0] != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])
