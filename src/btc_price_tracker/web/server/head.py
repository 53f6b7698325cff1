"""The head of a request: checks of RFC 9110 and 9112 that the parser leaves to the server."""

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from btc_price_tracker.web.problems import Problem

BLANKS = b" \t"  # not part of a field value (RFC 9110, 5.5), though the parser leaves trailing ones
METHODS = "GET, HEAD, OPTIONS"
VERSIONS = ("1.1", "1.0")

# host and port of RFC 3986, 3.2: without userinfo, which has no place in either (RFC 9110, 4.2.4).
_AUTHORITY = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?"
_HOST = re.compile(_AUTHORITY)
_CONTROL = re.compile(rb"%(?:[01][0-9A-Fa-f]|7[Ff])")
_ABSOLUTE = re.compile(rb"(?i:https?)://(" + _AUTHORITY + rb")((?:[/?].*)?)")

Fields = Sequence[tuple[bytes, bytes]]


class Target(NamedTuple):
    """Where a request goes: path and query, and the host if it names one."""

    url: bytes
    host: bytes | None = None


def size(url: bytes, fields: Iterable[tuple[bytes, bytes]]) -> int:
    """The size of a head in bytes, without method and version."""
    parts = list(chain(*fields))
    return len(url) + sum(map(len, parts)) + 2 * len(parts)


def check(method: bytes, version: str, fields: Fields, max_body: int) -> None:
    """Raise Problem if a request can't be answered, whatever its target; `max_body` is in bytes."""
    if version not in VERSIONS:
        raise Problem(505, f"HTTP/{version} is not supported: use HTTP/1.1.")
    if method == b"CONNECT":
        raise Problem(405, "CONNECT is not supported: this server is no proxy.", {"Allow": METHODS})
    _check_host(version, fields)
    _check_framing(version, fields, max_body)


def target(method: bytes, url: bytes) -> Target:
    """The target of a request in any of the forms of RFC 9112, 3.2. Raises Problem if it is invalid."""
    if b"%" in url and _CONTROL.search(url.partition(b"?")[0]):
        # What decides about a path must agree with what serves it: `$` in a pattern of routes matches before a newline.
        raise Problem(400, "The path has an encoded control character, which no path here has.")
    if b"#" in url:
        raise Problem(400, "The request target has a fragment, which is not sent (RFC 9112, 3.2).")
    if url.startswith(b"/"):
        return Target(url)
    if url == b"*" and method == b"OPTIONS":
        return Target(b"/")  # the methods of the page stand for those of the server
    if (absolute := _ABSOLUTE.fullmatch(url)) and absolute[1]:
        return Target(absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2], absolute[1])
    raise Problem(400, "The request target is invalid: send an absolute path (RFC 9112, 3.2).")


def with_host(fields: Iterable[tuple[bytes, bytes]], host: bytes) -> list[tuple[bytes, bytes]]:
    """Fields in which the host of the target replaces that of the Host field (RFC 9112, 3.2.2)."""
    return [(b"host", host), *(field for field in fields if field[0] != b"host")]


def announces_body(fields: Fields) -> bool:
    """Whether a body follows the head."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0 \t"))
        for name, value in fields
    )


def without_upgrade(method: bytes, url: bytes, version: str, fields: Fields) -> bytes:
    """Encode a head without Upgrade, which a server may ignore (RFC 9110, 7.8)."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    lines += [b"%b: %b" % field for field in fields if field[0] != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])


def _check_host(version: str, fields: Fields) -> None:
    hosts = [value for name, value in fields if name == b"host"]
    if not hosts and version != "1.0":
        raise Problem(400, "Host is missing: HTTP/1.1 requires it (RFC 9112, 3.2).")
    if len(hosts) > 1:
        raise Problem(400, f"Host is present {len(hosts)} times: send it once (RFC 9112, 3.2).")
    if hosts and not _HOST.fullmatch(hosts[0].strip(BLANKS)):
        raise Problem(
            400, "Host is invalid: send a host name or address and an optional port (RFC 9112, 3.2)."
        )


def _check_framing(version: str, fields: Fields, max_body: int) -> None:
    """Reject a body whose end others may see elsewhere, before anything is answered.

    The parser has rejected what is wrong with Content-Length by then, and that beside Transfer-Encoding.
    """
    codings = b",".join([value for name, value in fields if name == b"transfer-encoding"])
    if codings:
        _check_codings(version, codings.lower())
    for name, value in fields:
        if name == b"content-length" and int(value) > max_body:
            raise Problem(413, f"The body of the request is larger than {max_body} bytes.")


def _check_codings(version: str, codings: bytes) -> None:
    """See RFC 9112, 6.1 and 6.3."""
    if version == "1.0":
        raise Problem(400, "HTTP/1.0 has no Transfer-Encoding (RFC 9112, 6.1).")
    names = [each.strip(b" ") for each in codings.split(b",")]  # the parser takes no tab here
    if names[-1] != b"chunked" or names.count(b"chunked") > 1:
        raise Problem(400, "Transfer-Encoding does not end with one `chunked` (RFC 9112, 6.3).")
    if len(names) > 1:
        raise Problem(501, "A Transfer-Encoding other than `chunked` is not supported (RFC 9112, 6.1).")
