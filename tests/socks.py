"""A SOCKS proxy on loopback that connects to one local port, and records the requested addresses."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

REFUSED = b"\x05\x05"  # connection refused (RFC 1928 6)


@dataclass
class Socks:
    """SOCKS 4a and 5 as far as a client needs them."""

    leads_to: int  # a port
    refuses: bool = False
    password: str = ""  # with the user `user`; none is wanted where it is blank
    port: int = 0
    requests: list[tuple[str, int]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            version = await reader.readexactly(1)
            answer = await (self._four(reader) if version == b"\x04" else self._five(reader, writer))
            writer.write(answer)
            if not self.refuses:
                await self._relay(reader, writer)
        writer.close()

    async def _four(self, reader: asyncio.StreamReader) -> bytes:
        _, *port_and_address = await reader.readexactly(7)
        port, address = int.from_bytes(port_and_address[:2]), bytes(port_and_address[2:])
        await reader.readuntil(b"\x00")  # the user
        host = socket.inet_ntoa(address)
        if address[:3] == bytes(3):  # 4a: a name follows
            host = (await reader.readuntil(b"\x00"))[:-1].decode()
        self.requests.append((host, port))
        return b"\x00" + (b"\x5b" if self.refuses else b"\x5a") + bytes(6)

    async def _five(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        if self.password:
            assert b"\x02" in methods
            writer.write(b"\x05\x02")
            await reader.readexactly(1)
            user = await reader.readexactly((await reader.readexactly(1))[0])
            word = await reader.readexactly((await reader.readexactly(1))[0])
            writer.write(b"\x01" + bytes([(user, word.decode()) != (b"user", self.password)]))
        else:
            writer.write(b"\x05\x00")
        kind = (await reader.readexactly(4))[3]
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, await reader.readexactly(size))
        self.requests.append((host, int.from_bytes(await reader.readexactly(2))))
        return (REFUSED if self.refuses else b"\x05\x00") + b"\x00\x01" + bytes(6)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, answers = await asyncio.open_connection("127.0.0.1", self.leads_to)
        await asyncio.gather(_pump(reader, answers), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


@asynccontextmanager
async def socks(leads_to: int, *, refuses: bool = False, password: str = "") -> AsyncIterator[Socks]:
    proxy = Socks(leads_to, refuses, password)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy
