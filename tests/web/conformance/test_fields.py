"""Fields: RFC 9112, 5, and Host of 3.2."""

import pytest

from live import live
from raw_http import GET, HOST, POST, REQUEST, ends, failures, kept

LINE = b"GET /healthz HTTP/1.1\r\n"


def with_field(field: bytes) -> bytes:
    return GET + field + b"\r\n\r\n"


def with_host(field: bytes) -> bytes:
    return LINE + field + b"\r\n\r\n"


FIELDS = (
    kept("RFC 9110 5.5", "an empty value", with_field(b"X-A:"), 200),
    kept("RFC 9110 5.5", "a tab within a value", with_field(b"X-A: a\tb"), 200),
    kept("RFC 9110 5.5", "bytes beyond ASCII in a value", with_field(b"X-A: \xff\xfe"), 200),
    kept("RFC 9110 5.4", "500 fields", GET + b"X-A: a\r\n" * 500 + b"\r\n", 200),
    ends("RFC 6585 5", "2000 fields", GET + b"X-A: abc\r\n" * 2000 + b"\r\n", 431),
    ends("RFC 9112 5.2", "obs-fold with a space", with_field(b"X-A: a\r\n b"), 400),
    ends("RFC 9112 5.2", "obs-fold with a tab", with_field(b"X-A: a\r\n\tb"), 400),
    ends("RFC 9112 2.2", "whitespace before the first field", LINE + b" X-A: a\r\n" + HOST + b"\r\n", 400),
    ends("RFC 9112 5.2", "a folded Content-Length", POST + b"Content-Length:\r\n 5\r\n\r\nhello", 400),
    ends("RFC 9110 5.5", "NUL in a value", with_field(b"X-A: a\0b"), 400),
    ends("RFC 9110 5.5", "a control character in a value", with_field(b"X-A: a\x01b"), 400),
    ends("RFC 9110 5.5", "DEL in a value", with_field(b"X-A: a\x7fb"), 400),
    ends("RFC 9112 2.2", "a bare CR in a value", with_field(b"X-A: a\rb"), 400),
    ends("RFC 9112 2.2", "a bare CR at the end of a value", with_field(b"X-A: a\r"), 400),
    ends("RFC 9112 2.2", "a bare LF after a value", with_field(b"X-A: a\nX-B: b"), 400),
    ends("RFC 9112 2.2", "a bare LF at the end of the head", GET + b"\n", 400),
    ends("RFC 9112 2.2", "a bare CR at the end of the head", GET + b"\rX", 400),
    ends("RFC 9112 2.2", "bare LFs alone", REQUEST.replace(b"\r\n", b"\n"), 400),
    ends("RFC 9112 5.1", "a space before the colon", with_field(b"X-A : b"), 400),
    ends("RFC 9112 5.1", "a tab before the colon", with_field(b"X-A\t: b"), 400),
    ends("RFC 9112 5.1", "Transfer-Encoding with a space", POST + b"Transfer-Encoding : chunked\r\n\r\n", 400),
    ends("RFC 9110 5.1", "an empty name", with_field(b": b"), 400),
    ends("RFC 9112 5", "no colon", with_field(b"abc"), 400),
    ends("RFC 9110 5.1", "a space in a name", with_field(b"X A: b"), 400),
    ends("RFC 9110 5.1", "a parenthesis in a name", with_field(b"X(A: b"), 400),
    ends("RFC 9110 5.1", "NUL in a name", with_field(b"X\0A: b"), 400),
    ends("RFC 9110 5.1", "a byte beyond ASCII in a name", with_field(b"X\xe4: b"), 400),
    kept("RFC 9110 5.1", "Content_Length is another field", POST + b"Content_Length: 5\r\n\r\n", 405),
)  # fmt: skip

HOSTS = (
    ends("RFC 9112 3.2", "no Host", LINE + b"\r\n", 400),
    ends("RFC 9112 3.2", "Host twice, the same", with_host(b"Host: x\r\nHost: x"), 400),
    ends("RFC 9112 3.2", "Host twice in HTTP/1.0", b"GET /healthz HTTP/1.0\r\nHost: x\r\nhost: y\r\n\r\n", 400),
    ends("RFC 9110 7.2", "a space", with_host(b"Host: a b"), 400),
    ends("RFC 9110 7.2", "a list", with_host(b"Host: a, b"), 400),
    ends("RFC 9110 4.2.4", "userinfo", with_host(b"Host: user@x"), 400),
    ends("RFC 9110 7.2", "a path", with_host(b"Host: x/y"), 400),
    ends("RFC 9110 7.2", "a port in letters", with_host(b"Host: x:http"), 400),
    ends("RFC 9110 7.2", "an open bracket", with_host(b"Host: [::1"), 400),
    ends("RFC 9110 7.2", "two ports", with_host(b"Host: x:1:2"), 400),
    kept("RFC 9110 7.2", "an empty one", with_host(b"Host:"), 200),
    kept("RFC 9110 7.2", "a port", with_host(b"Host: \t x:8082 \t"), 200),
    kept("RFC 9110 7.2", "IPv6", with_host(b"Host: [::1]:8082"), 200),
)  # fmt: skip


@pytest.mark.parametrize("step", [0, 1, 7])
async def test_fields_are_parsed_as_the_rfcs_say(step: int) -> None:
    async with live() as server:
        assert await failures(server.port, FIELDS + HOSTS, step) == []
