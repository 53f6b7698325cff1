"""Chunks: RFC 9112, 7.1. The response (405) needs no body; of what is malformed, no second response comes."""

import pytest

from live import live
from raw_http import HIDDEN, POST, Case, ends, failures, kept

LAST = b"0\r\n\r\n"
HELLO = b"5\r\nhello\r\n"
HEAD = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def well(rfc: str, name: str, body: bytes) -> Case:
    return kept(rfc, name, HEAD + body, 405)


def ill(rfc: str, name: str, body: bytes) -> Case:
    return ends(rfc, name, HEAD + body + HIDDEN, 405)


SIZES = (
    well("RFC 9112 7.1", "two chunks", HELLO + HELLO + LAST),
    well("RFC 9112 7.1", "digits of either case", b"A\r\nhellohello\r\na\r\nhellohello\r\n" + LAST),
    well("RFC 9112 7.1", "leading zeros", b"000000000000000000005\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1", "a plus", b"+5\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1", "a minus", b"-5\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1", "an underscore", b"0_5\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1", "0x", b"0x5\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1", "2^64 and 5", b"10000000000000005\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1", "no hexadecimal digit", b"g\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1", "empty", b"\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1", "a space before", b" 5\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1", "a space after", b"5 \r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1", "a tab after", b"5\t\r\nhello\r\n" + LAST),
    ill("RFC 9112 2.2", "a bare LF after", b"5\nhello\r\n" + LAST),
    ill("RFC 9112 2.2", "a bare CR after", b"5\rhello\r\n" + LAST),
    ill("RFC 9112 2.2", "a bare LF after the last", HELLO + b"0\n\n"),
)

ENDINGS = (
    ill("RFC 9112 7.1", "no end of the data", b"5\r\nhello" + LAST),
    ill("RFC 9112 7.1", "a bare LF after the data", b"5\r\nhello\n" + LAST),
    ill("RFC 9112 7.1", "two bytes in place of CRLF", b"5\r\nhelloXX" + LAST),
    ill("RFC 9112 7.1", "more data than announced", b"5\r\nhelloworld\r\n" + LAST),
    ill("RFC 9112 7.1", "a request in place of the last CRLF", HELLO + b"0\r\n"),
)

EXTENSIONS = (
    well("RFC 9112 7.1.1", "with a value, without, and on the last", b"5;a=b;c\r\nhello\r\n0;x\r\n\r\n"),
    well("RFC 9112 7.1.1", "a quoted value", b'5;a="b;\\"c"\r\nhello\r\n' + LAST),
    ill("RFC 9112 7.1.1", "whitespace around it, which may be refused", b"5 ; a = b\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1.1", "a bare LF", b"5;a\nb\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1.1", "a bare LF that would hide a chunk", b"2;\nxx\r\nxy\r\n" + LAST),
    ill("RFC 9112 7.1.1", "a bare LF in quotes", b'5;a="\n"\r\nhello\r\n' + LAST),
    ill("RFC 9112 7.1.1", "a bare CR", b"5;a\rb\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1.1", "NUL", b"5;a\0\r\nhello\r\n" + LAST),
    ill("RFC 9112 7.1.1", "an empty one", b"5;\r\nhello\r\n" + LAST),
)

TRAILERS = (
    well("RFC 9112 7.1.2", "a trailer", HELLO + b"0\r\nX-A: a\r\n\r\n"),
    well("RFC 9110 6.5.1", "Host, which is ignored", b"0\r\nHost: evil\r\n\r\n"),
    well("RFC 9110 6.5.1", "Upgrade, which is ignored", b"0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
    ill("RFC 9110 6.5.1", "Content-Length", b"0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)),
    ill("RFC 9110 6.5.1", "Transfer-Encoding", b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ill("RFC 9110 6.5.1", "Connection: close", b"0\r\nConnection: close\r\n\r\n"),
    ill("RFC 9112 5.2", "obs-fold", b"0\r\nX-A: a\r\n b\r\n\r\n"),
    ill("RFC 9112 5", "no colon", b"0\r\nabc\r\n\r\n"),
    ill("RFC 9112 2.2", "a bare LF", b"0\r\nX-A: a\n\r\n"),
)


@pytest.mark.parametrize("step", [0, 1, 7])
async def test_chunks_are_parsed_as_the_rfcs_say(step: int) -> None:
    async with live() as server:
        assert await failures(server.port, SIZES + ENDINGS + EXTENSIONS + TRAILERS, step) == []
