"""Clients that resume wherever they can: thousands in one process, so they parse no more than ids and gaps."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import httptools

SILENCE = 6  # seconds without a byte, with a heartbeat each second, after which a client reconnects


@dataclass(slots=True)
class Transcript:
    """What one client got, over all its connections."""

    ids: list[int] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    connections: int = 0
    history: list[str] = field(default_factory=list)  # when it connected where, and after which id

    def copy(self) -> "Transcript":
        """What it is now."""
        return Transcript(list(self.ids), list(self.gaps), self.connections, list(self.history))

    def announced(self, tick_id: int) -> bool:
        """Whether the client was told that it can't be sent this price."""
        return any(first <= tick_id <= last for first, last in self.gaps)


async def follow(ports: Sequence[int], transcript: Transcript) -> None:
    """Read a stream for ever; after a disconnect, resume at the next instance that accepts."""
    turn = transcript.connections
    loop = asyncio.get_running_loop()
    while True:
        turn += 1
        with contextlib.suppress(OSError):
            port = ports[turn % len(ports)]
            transport, stream = await loop.create_connection(
                partial(_Stream, transcript, port), "127.0.0.1", port
            )
            try:
                await stream.end()
            finally:
                transport.abort()
        await asyncio.sleep(0.05)


class _Stream(asyncio.Protocol):
    """One connection."""

    def __init__(self, transcript: Transcript, port: int) -> None:
        self._transcript = transcript
        self._port = port
        self._parser = httptools.HttpResponseParser(self)
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._received_at = self._loop.time()
        self._body = b""

    async def end(self) -> None:
        """Wait until the stream ends, or falls silent."""
        while not self._ended.done() and self._loop.time() - self._received_at < SILENCE:
            await asyncio.wait({self._ended}, timeout=SILENCE / 2)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvloop makes
        ids = self._transcript.ids
        resume = f"Last-Event-ID: {ids[-1]}\r\n" if ids else ""
        transport.write(f"GET /prices/stream HTTP/1.1\r\nHost: localhost\r\n{resume}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._received_at = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish()

    def on_headers_complete(self) -> None:
        status, ids = self._parser.get_status_code(), self._transcript.ids
        self._transcript.history.append(f"{datetime.now(UTC):%T.%f}: {self._port} {status} after {ids[-1:]}")
        if status == 200:
            self._transcript.connections += 1
        else:
            self._finish()

    def on_body(self, body: bytes) -> None:
        *events, self._body = (self._body + body).split(b"\n\n")
        for event in events:
            self._note(event)

    def on_message_complete(self) -> None:
        self._finish()

    def _note(self, event: bytes) -> None:
        fields = {name: value for name, _, value in (line.partition(b": ") for line in event.split(b"\n"))}
        if b"id" in fields:
            self._transcript.ids.append(int(fields[b"id"]))
        elif fields.get(b"event") == b"gap":
            gap = json.loads(fields[b"data"])
            self._transcript.gaps.append((gap["from"], gap["to"]))

    def _finish(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)
