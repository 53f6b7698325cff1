"""Servers that answer with whatever bytes a test chooses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class Hostile:
    """A server that repeats a piece after a start, until the client leaves or the piece is empty."""

    start: bytes
    piece: bytes = b""
    port: int = 0
    sent: int = 0  # bytes
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0  # now
    most_connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.most_connections = max(self.connections, self.most_connections)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                await self._answer(writer)
        self.connections -= 1
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        writer.write(self.start)
        await writer.drain()
        while self.piece:
            writer.write(self.piece * (65536 // len(self.piece)))
            self.sent += 65536
            await writer.drain()


@asynccontextmanager
async def hostile(start: bytes, piece: bytes = b"") -> AsyncIterator[Hostile]:
    server = Hostile(start, piece)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server
