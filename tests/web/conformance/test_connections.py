"""What ends a connection and what doesn't: RFC 9112, 9; Upgrade and Expect."""

import pytest

from live import live
from raw_http import GET, HIDDEN, POST, REQUEST, Case, ends, failures, kept

OLD = b"GET /healthz HTTP/1.0\r\n"
BODY = b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
SOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aGVsbG8=\r\n"
EXPECT = b"Expect: 100-continue\r\n"


def option(value: bytes) -> bytes:
    return GET + b"Connection: " + value + b"\r\n\r\n"


OPTIONS = (
    ends("RFC 9112 9.6", "close", option(b"close"), 200),
    ends("RFC 9110 7.6.1", "in another case", option(b"CLOSE"), 200),
    ends("RFC 9112 9.3", "keep-alive, close", option(b"keep-alive, close"), 200),
    ends("RFC 9112 9.3", "close in a second field", option(b"keep-alive\r\nConnection: close"), 200),
    kept("RFC 9110 7.6.1", "a longer word", option(b"closed"), 200),
    kept("RFC 9110 7.6.1", "quotes", option(b'"close"'), 200),
    kept("RFC 9110 7.6.1", "the names of end-to-end fields", option(b"Host, Content-Length"), 200),
    ends("RFC 9112 9.3", "HTTP/1.0", OLD + b"\r\n", 200),
    ends("RFC 9112 9.3", "HTTP/1.0 kept alive, which may be declined", OLD + b"Connection: keep-alive\r\n\r\n", 200),
    ends("RFC 9112 9.6", "close, and a body that comes late", POST + b"Connection: close\r\n" + BODY, 405),
    ends("RFC 9112 9.6", "close, and a request after it", option(b"close") + HIDDEN, 200, whole=True),
    ends("RFC 9112 9.3", "HTTP/1.0, and a request after it", OLD + b"\r\n" + HIDDEN, 200, whole=True),
)  # fmt: skip

PIPELINES = (
    kept("RFC 9112 9.3.2", "three", REQUEST * 3, 200, 200, 200),
    kept("RFC 9112 9.3.2", "different answers", REQUEST + HIDDEN + REQUEST, 200, 404, 200),
    kept("RFC 9112 9.3.2", "a body between", REQUEST + POST + BODY + REQUEST, 200, 405, 200),
    kept("RFC 9112 2.2", "empty lines between", REQUEST + b"\r\n" + REQUEST, 200, 200),
    ends("RFC 9112 9.3.2", "an error in the middle", REQUEST + b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n" + HIDDEN,
         200, 400),
    ends("RFC 9112 9.3.2", "bad framing in the middle",
         REQUEST + POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + HIDDEN, 200, 400),
    ends("RFC 9112 9.3.2", "a bad chunk in the middle",
         REQUEST + POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n" + HIDDEN, 200, 405),
    ends("RFC 9112 9.6", "close in the middle", REQUEST + option(b"close") + HIDDEN, 200, 200, whole=True),
    ends("RFC 9112 9.3.2", "a hundred", REQUEST * 100 + option(b"close"), *[200] * 101),
)  # fmt: skip

UPGRADES = (
    kept("RFC 9110 7.8", "h2c is ignored", GET + OFFER + b"\r\n" + HIDDEN, 200, 404),
    kept("RFC 9110 7.8", "a WebSocket is ignored", GET + SOCKET + b"\r\n" + HIDDEN, 200, 404),
    kept("RFC 9110 7.8", "a body beside the offer is a body", POST + OFFER + BODY, 405),
    kept("RFC 9110 7.8", "chunks beside the offer are chunks",
         POST + OFFER + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 405),
    ends("RFC 9112 6.3", "bad framing beside the offer",
         POST + OFFER + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ends("RFC 9112 7.1", "a bad chunk beside the offer",
         POST + OFFER + b"Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n", 405),
    ends("RFC 9110 7.8", "HTTP/1.0", OLD + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", 200),
    ends("RFC 9110 7.8", "upgrade, close", GET + b"Connection: upgrade, close\r\nUpgrade: h2c\r\n\r\n", 200),
    kept("RFC 9110 7.8", "Upgrade alone", GET + b"Upgrade: h2c\r\n\r\n", 200),
    kept("RFC 9110 7.8", "Connection alone", option(b"upgrade"), 200),
)  # fmt: skip

EXPECTATIONS = (
    kept("RFC 9110 10.1.1", "no body to come", GET + EXPECT + b"\r\n", 200),
    kept("RFC 9110 10.1.1", "an empty body", POST + EXPECT + b"Content-Length: 0\r\n\r\n", 405),
    # The client may leave the body out: what follows must not be taken for it.
    ends("RFC 9110 10.1.1", "a body that is left out", POST + EXPECT + b"Content-Length: 99\r\n\r\n" + HIDDEN, 405),
    ends("RFC 9110 10.1.1", "a body at once", POST + EXPECT + BODY, 405),
    ends("RFC 9110 10.1.1", "a body, and requests after it", POST + EXPECT + BODY + REQUEST * 2, 405, whole=True),
    ends("RFC 9110 10.1.1", "in HTTP/1.0", b"POST /healthz HTTP/1.0\r\n" + EXPECT + BODY, 405),
    kept("RFC 9110 10.1.1", "of something else", GET + b"Expect: wonders\r\n\r\n", 200),
)  # fmt: skip

CASES: tuple[Case, ...] = OPTIONS + PIPELINES + UPGRADES + EXPECTATIONS


@pytest.mark.parametrize("step", [0, 1, 7])
async def test_connections_are_kept_and_ended_as_the_rfcs_say(step: int) -> None:
    async with live() as server:
        assert await failures(server.port, CASES, step) == []
