"""Raw requests over a real socket, and what a server makes of them: the statuses, and whether it reads on."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

HOST = b"Host: x\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST  # to be completed
POST = b"POST /healthz HTTP/1.1\r\n" + HOST
REQUEST = GET + b"\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"  # what smuggling would have answered: 404
PROBE = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-ID: probe\r\nConnection: close\r\n\r\n"
TURNS = 3  # of the loop, in which what was written is read before there is more

_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) .*?\r\n\r\n", re.DOTALL)
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The statuses of all responses, and whether a further request was answered as well."""

    statuses: tuple[int, ...]
    kept: bool


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes, and what an RFC says of them."""

    rfc: str
    name: str
    sent: bytes
    outcome: Outcome
    whole: bool = False  # not to be split: who sends more after the end is reset


def kept(rfc: str, name: str, sent: bytes, *statuses: int) -> Case:
    """A case after which the connection serves a further request."""
    return Case(rfc, name, sent, Outcome(statuses, kept=True))


def ends(rfc: str, name: str, sent: bytes, *statuses: int, whole: bool = False) -> Case:
    """A case after which the server closes."""
    return Case(rfc, name, sent, Outcome(statuses, kept=False), whole)


async def failures(port: int, cases: Iterable[Case], step: int) -> list[str]:
    """What came otherwise than it should, of bytes sent `step` at a time; 0 sends them in one piece."""
    found = []
    for case in cases:
        if step and case.whole:
            continue
        outcome = await _exchange(port, case, step or len(case.sent) + len(PROBE))
        if outcome != case.outcome:
            found.append(f"{case.name} ({case.rfc}): {outcome}")
    return found


async def _exchange(port: int, case: Case, step: int) -> Outcome:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(_read_all(reader))
    sent = case.sent + (PROBE if case.outcome.kept else b"")
    for at in range(0, len(sent), step):
        writer.write(sent[at : at + step])
        for _ in range(TURNS):
            await asyncio.sleep(0)
    received = await answer
    writer.close()
    return Outcome(tuple(_statuses(received)), kept=b"x-request-id: probe" in received)


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    received = b""
    try:
        async with asyncio.timeout(20):
            while data := await reader.read(65536):
                received += data
    except ConnectionResetError:  # a server that is gone says so to what is sent after that
        pass
    except TimeoutError:
        received += b"(never closed)"
    return received


def _statuses(received: bytes) -> Iterator[int]:
    """The status of each response but the probe's; 0 for what is none."""
    while head := _HEAD.match(received):
        length = _LENGTH.search(head[0])
        if b"x-request-id: probe" not in head[0]:
            yield int(head[1])
        received = received[head.end() + int(length[1] if length else 0) :]
    if received:
        yield 0
