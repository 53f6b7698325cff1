"""Where a body ends: RFC 9112, 6. Whoever reads it otherwise than a proxy takes a body for a request."""

import pytest

from live import live
from raw_http import GET, HIDDEN, POST, ends, failures, kept

LAST = b"0\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
OLD = b"POST /healthz HTTP/1.0\r\n"


def length(value: bytes, body: bytes = b"hello") -> bytes:
    return POST + b"Content-Length:" + value + b"\r\n\r\n" + body


def coding(value: bytes) -> bytes:
    return POST + b"Transfer-Encoding:" + value + b"\r\n\r\n" + LAST + HIDDEN


LENGTHS = (
    kept("RFC 9112 6.2", "a length", length(b" 5"), 405),
    kept("RFC 9112 6.2", "no body", length(b" 0", b""), 405),
    kept("RFC 9110 5.5", "whitespace around it", length(b" \t5 \t"), 405),
    kept("RFC 9110 8.6", "leading zeros", length(b" 005"), 405),
    ends("RFC 9110 8.6", "empty", length(b""), 400),
    ends("RFC 9110 8.6", "blank", length(b" \t "), 400),
    ends("RFC 9110 8.6", "a minus", length(b" -5"), 400),
    ends("RFC 9110 8.6", "a plus", length(b" +5"), 400),
    ends("RFC 9110 8.6", "hexadecimal", length(b" 0x5"), 400),
    ends("RFC 9110 8.6", "an underscore", length(b" 1_0", b"hellohello"), 400),
    ends("RFC 9110 8.6", "a space within", length(b" 1 0", b"hellohello"), 400),
    ends("RFC 9110 8.6", "a fraction", length(b" 5.0"), 400),
    ends("RFC 9110 8.6", "quotes", length(b' "5"'), 400),
    ends("RFC 9110 8.6", "digits of another script", length(b" \xd9\xa5"), 400),
    ends("RFC 9112 6.3", "a list", length(b" 5, 5"), 400),
    ends("RFC 9112 6.3", "twice the same", length(b" 5\r\nContent-Length: 5"), 400),
    ends("RFC 9112 6.3", "two that differ", length(b" 5\r\nContent-Length: 6"), 400),
    ends("RFC 9112 6.3", "two that differ, the longer first", length(b" 99\r\nContent-Length: 5"), 400),
    ends("RFC 9112 6.3", "2^64", length(b" 18446744073709551616"), 400),
    ends("RFC 9110 15.5.14", "2^64 - 1", length(b" 18446744073709551615"), 413),
    ends("RFC 9110 15.5.14", "a byte beyond 1 MB", length(b" %d" % (1024 * 1024 + 1)), 413),
)

CODINGS = (
    kept("RFC 9112 7.1", "chunked", CHUNKED + LAST, 405),
    kept("RFC 9112 7", "in another case", POST + b"Transfer-Encoding: Chunked\r\n\r\n" + LAST, 405),
    kept("RFC 9110 5.5", "spaces around it", POST + b"Transfer-Encoding:  chunked \r\n\r\n" + LAST, 405),
    ends("RFC 9112 6.3", "Content-Length and Transfer-Encoding",
         POST + b"Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n" + LAST + HIDDEN, 400),
    ends("RFC 9112 6.3", "Transfer-Encoding and Content-Length", coding(b" chunked\r\nContent-Length: 5"), 400),
    ends("RFC 9112 6.3", "Transfer-Encoding and no length", coding(b" chunked\r\nContent-Length: 0"), 400),
    ends("RFC 9112 6.1", "in HTTP/1.0", OLD + b"Transfer-Encoding: chunked\r\n\r\n" + LAST + HIDDEN, 400),
    ends("RFC 9112 6.1", "in HTTP/1.0, kept alive",
         OLD + b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + LAST + HIDDEN, 400),
    ends("RFC 9112 6.3", "gzip", coding(b" gzip"), 400),
    ends("RFC 9112 6.1", "gzip, chunked", coding(b" gzip, chunked"), 501),
    ends("RFC 9112 6.3", "chunked, gzip", coding(b" chunked, gzip"), 400),
    ends("RFC 9112 6.3", "identity", coding(b" identity"), 400),
    ends("RFC 9112 6.3", "identity with GET", GET + b"Transfer-Encoding: identity\r\n\r\n" + HIDDEN, 400),
    ends("RFC 9112 6.1", "identity, then chunked", coding(b" identity\r\nTransfer-Encoding: chunked"), 501),
    ends("RFC 9112 6.3", "chunked, then identity", coding(b" chunked\r\nTransfer-Encoding: identity"), 400),
    ends("RFC 9112 7.1", "chunked twice", coding(b" chunked\r\nTransfer-Encoding: chunked"), 400),
    ends("RFC 9112 7.1", "chunked, chunked", coding(b" chunked, chunked"), 400),
    ends("RFC 9112 7", "a prefix", coding(b" xchunked"), 400),
    ends("RFC 9112 7", "a suffix", coding(b" chunkedx"), 400),
    ends("RFC 9112 7", "quotes", coding(b' "chunked"'), 400),
    ends("RFC 9112 7", "a parameter", coding(b" chunked;a=b"), 400),
    ends("RFC 9110 5.5", "a vertical tab", coding(b" \x0bchunked"), 400),
    ends("RFC 9110 5.5", "a tab after it, which the parser refuses", coding(b" chunked\t"), 400),
    ends("RFC 9112 6.3", "empty", coding(b""), 400),
    ends("RFC 9112 6.3", "empty, and a length", POST + b"Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello", 400),
    ends("RFC 9110 5.6.1", "an empty element before", coding(b" , chunked"), 501),
    ends("RFC 9110 5.6.1", "an empty element after", coding(b" chunked,"), 400),
)  # fmt: skip

BODIES = (
    kept("RFC 9110 9.3.1", "a body on GET", GET + b"Content-Length: 5\r\n\r\nhello", 200),
    kept("RFC 9110 9.3.1", "a request in a body", GET + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, 200),
    kept("RFC 9110 9.3.1", "chunks on GET", GET + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" + LAST, 200),
    kept("RFC 9110 9.3.7", "a body on OPTIONS",
         b"OPTIONS /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 204),
)  # fmt: skip


@pytest.mark.parametrize("step", [0, 1, 7])
async def test_body_ends_where_the_rfcs_say(step: int) -> None:
    async with live() as server:
        assert await failures(server.port, LENGTHS + CODINGS + BODIES, step) == []
