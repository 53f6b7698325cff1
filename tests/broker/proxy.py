"""A TCP proxy before a server: it can speak TLS, cut connections, or fall silent."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


class Proxy:
    """Passes bytes on, both ways, until told otherwise."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a client with the server; without one, disconnect it."""
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer))
        self._writers -= {writer, far_writer}

    def silence(self) -> None:
        """Keep connections open, and let nothing through."""
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65_536):
                await self._flowing.wait()
                if writer.transport.is_closing():  # cut; uvloop refuses to write then
                    break
                writer.write(piece)
        writer.close()


@asynccontextmanager
async def running(target: int, certificate: tuple[Path, Path] | None = None) -> AsyncIterator[Proxy]:
    """A proxy before a port of this machine; with a certificate and its key, it speaks TLS."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.serve, "localhost", 0, ssl=context, family=2)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
        proxy.cut()
        proxy.resume()
