"""Just enough HTTP/1.1 over asyncio streams to be able to break its rules."""

import asyncio
import socket
import struct
from collections.abc import Mapping
from email.utils import formatdate
from http.client import responses

from msgspec import Struct

MAX_BODY = 1 << 20  # bytes of a request; only the control paths take any


class BadRequest(ValueError):
    """What came is no HTTP request that we understand."""


class Request(Struct, frozen=True):
    """A whole request; the names of its headers are lower-case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None once the client has hung up. Raises BadRequest."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequest("the head of the request is too long") from error
    first, *lines = head[:-4].split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[1].startswith("/") or not parts[2].startswith("HTTP/1."):
        raise BadRequest("the request line isn't METHOD /TARGET HTTP/1.1")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(parts[0], parts[1], headers, await _read_body(reader, headers))


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY or "transfer-encoding" in headers:
        raise BadRequest(f"a body needs a Content-Length of at most {MAX_BODY}")
    return await reader.readexactly(int(length))


def head(status: int, headers: Mapping[str, str], now: int) -> bytes:
    """The head of a response: status line, Date of `now` (ms), headers."""
    lines = [
        f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}",
        f"Date: {formatdate(now / 1000, usegmt=True)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a body of unknown length; of no data: the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST instead of FIN."""
    linger_zero = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
    writer.transport.abort()
