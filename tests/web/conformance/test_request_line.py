"""Request lines: RFC 9112, 3, and the forms of a request target."""

import pytest

from live import live
from raw_http import HOST, REQUEST, ends, failures, kept

LINE = b"%b HTTP/1.1\r\n" + HOST + b"\r\n"

VERSIONS = (
    kept("RFC 9112 2.3", "HTTP/1.1", REQUEST, 200),
    ends("RFC 9112 9.3", "HTTP/1.0 without Host", b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    ends("RFC 9110 15.6.6", "HTTP/0.9 without a version", b"GET /healthz\r\n\r\n", 505),
    ends("RFC 9110 15.6.6", "HTTP/0.9", b"GET /healthz HTTP/0.9\r\n\r\n", 505),
    ends("RFC 9110 15.6.6", "HTTP/2.0", b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    ends("RFC 9113 3.4", "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ends("RFC 9112 2.3", "two digits", b"GET /healthz HTTP/1.10\r\n" + HOST + b"\r\n", 400),
    ends("RFC 9112 2.3", "no dot", b"GET /healthz HTTP/11\r\n" + HOST + b"\r\n", 400),
    ends("RFC 9112 2.3", "lower case", b"GET /healthz http/1.1\r\n" + HOST + b"\r\n", 400),
    ends("RFC 9112 2.3", "a response", b"HTTP/1.1 200 OK\r\n\r\n", 400),
)

TARGETS = (
    kept("RFC 9112 3.2.2", "absolute form", LINE % b"GET http://x/healthz", 200),
    kept("RFC 9112 3.2.2", "absolute form, https", LINE % b"GET https://x/healthz", 200),
    kept("RFC 9112 3.2.2", "absolute form, another host", LINE % b"GET http://y:80/healthz", 200),
    kept("RFC 9112 3.2.1", "absolute form, no path", LINE % b"GET http://x", 200),
    kept("RFC 9112 3.2.1", "absolute form, no path but a query", LINE % b"GET http://x?a=b", 200),
    kept("RFC 9112 3.2.2", "absolute form, IPv6", LINE % b"GET http://[::1]:80/healthz", 200),
    ends("RFC 9110 4.2.4", "absolute form, userinfo", LINE % b"GET http://user:pw@x/healthz", 400),
    ends("RFC 9110 4.2.1", "absolute form, no host", LINE % b"GET http:///healthz", 400),
    ends("RFC 9112 3.2.2", "absolute form, port in letters", LINE % b"GET http://x:p/healthz", 400),
    ends("RFC 9110 4.2", "absolute form, another scheme", LINE % b"GET ftp://x/healthz", 400),
    ends("RFC 9112 3.2", "absolute form, no Host", b"GET http://x/healthz HTTP/1.1\r\n\r\n", 400),
    ends("RFC 9112 3.2.3", "authority form", LINE % b"GET x:80", 400),
    ends("RFC 9110 9.3.6", "CONNECT", LINE % b"CONNECT x:80", 405),
    kept("RFC 9112 3.2.4", "OPTIONS *", LINE % b"OPTIONS *", 204),
    ends("RFC 9112 3.2.4", "GET *", LINE % b"GET *", 400),
    kept("RFC 9110 9.3.7", "OPTIONS of a path", LINE % b"OPTIONS /healthz", 204),
    ends("RFC 9112 3.2.1", "a relative path", LINE % b"GET healthz", 400),
    ends("RFC 9112 3.2.1", "a query alone", LINE % b"GET ?a=b", 400),
    ends("RFC 9112 3.2", "an empty target", LINE % b"GET ", 400),
    ends("RFC 9112 3.2", "a fragment", LINE % b"GET /healthz#top", 400),
    kept("RFC 3986 3.3", "two slashes", LINE % b"GET //x/healthz", 404),
    kept("RFC 3986 2.1", "bad percent-encoding", LINE % b"GET /%zz", 404),
    ends("RFC 3986 2.1", "NUL, encoded", LINE % b"GET /%00", 400),
    ends("RFC 3986 2", "NUL", LINE % b"GET /a\0b", 400),
    ends("RFC 3986 2", "a control character", LINE % b"GET /a\x01b", 400),
    ends("RFC 3986 2", "DEL", LINE % b"GET /a\x7fb", 400),
    ends("RFC 3986 2", "bytes beyond ASCII", LINE % b"GET /\xc3\xa4", 400),
    kept("RFC 9112 3", "8000 bytes", LINE % (b"GET /" + b"a" * 7990), 404),
    ends("RFC 6585 5", "17,000 bytes", LINE % (b"GET /" + b"a" * 17_000), 431),
)

LINES = (
    kept("RFC 9112 2.2", "an empty line before", b"\r\n" + REQUEST, 200),
    kept("RFC 9112 2.2", "three empty lines before", b"\r\n" * 3 + REQUEST, 200),
    ends("RFC 9112 2.2", "a space before", b" " + REQUEST, 400),
    ends("RFC 9112 3", "a tab between", REQUEST.replace(b"GET ", b"GET\t"), 400),
    kept("RFC 9112 3", "two spaces between, which may pass", REQUEST.replace(b"GET ", b"GET  "), 200),
    ends("RFC 9112 3", "a space at the end", REQUEST.replace(b"1.1", b"1.1 "), 400),
    ends("RFC 9112 2.2", "a bare LF at the end", REQUEST.replace(b"\r\n", b"\n", 1), 400),
    ends("RFC 9112 2.2", "a bare CR at the end", REQUEST.replace(b"\r\n", b"\r", 1), 400),
    ends("RFC 9112 2.2", "CR CR LF", REQUEST.replace(b"\r\n", b"\r\r\n", 1), 400),
    ends("RFC 9110 9.1", "a method in lower case", LINE % b"get /healthz", 400),
    ends("RFC 9110 9.1", "an unknown method", LINE % b"FOO /healthz", 400),
    ends("RFC 9110 9.1", "a method that is no token", LINE % b"GE(T /healthz", 400),
    kept("RFC 9110 9.3.8", "TRACE", LINE % b"TRACE /healthz", 405),
    ends("RFC 8446 4.1.2", "a TLS ClientHello", b"\x16\x03\x01\x00\xf1\x01\x00\x00\xed\x03\x03" + bytes(99), 400),
    ends("RFC 9112 3", "words", b"hello\r\n\r\n", 400),
)  # fmt: skip


@pytest.mark.parametrize("step", [0, 1, 7])
async def test_request_lines_are_parsed_as_the_rfcs_say(step: int) -> None:
    async with live() as server:
        assert await failures(server.port, VERSIONS + TARGETS + LINES, step) == []
