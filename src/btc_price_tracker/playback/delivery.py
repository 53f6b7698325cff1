"""Send a response, with the fault that was injected."""

import asyncio
import zlib
from collections.abc import Iterator, Mapping

from btc_price_tracker.clock import Clock
from btc_price_tracker.playback import wire
from btc_price_tracker.playback.fault_injection import Fault
from btc_price_tracker.playback.venues import Response

BLOCK = 1 << 16  # bytes made and written at a time
GZIP = 31  # zlib's window bits for a gzip head and tail


class Delivery:
    """Sends answers over one connection. A method that sends returns whether the connection may go on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    async def send(self, response: Response, fault: Fault) -> bool:
        """Answer, as far as the fault lets it."""
        if fault.hang:
            await self._hang_up()
            return False
        if fault.delay:
            await self._clock.sleep(fault.delay)
        if fault.reset == "head":
            wire.reset(self._writer)
            return False
        return await self._send(changed(response, fault), fault)

    async def _hang_up(self) -> None:
        """Wait until the client has had enough."""
        while await self._reader.read(BLOCK):
            pass

    async def _send(self, response: Response, fault: Fault) -> bool:
        if fault.bomb:
            return await self._stream(response, {"Content-Encoding": "gzip"}, zeros_gzipped(fault.bomb))
        if fault.flood:
            return await self._stream(response, {}, spaces(fault.flood))
        return await self._whole(response, fault)

    async def _stream(self, response: Response, extra: Mapping[str, str], blocks: Iterator[bytes]) -> bool:
        await self._write_head(response, {"Transfer-Encoding": "chunked", **extra})
        for block in blocks:
            await self._write(wire.chunk(block))
            await asyncio.sleep(0)  # drain alone never lets others run while the client keeps up
        await self._write(wire.chunk(b""))
        return True

    async def _whole(self, response: Response, fault: Fault) -> bool:
        length = {} if _claims_length(response) else {"Content-Length": str(len(response.body))}
        stays = not (length == {} or fault.truncate is not None or fault.reset)
        await self._write_head(response, length if stays else {**length, "Connection": "close"})
        await self._write_body(_kept(response.body, fault), fault.drip)
        if fault.reset:
            wire.reset(self._writer)
        return stays

    async def _write_head(self, response: Response, extra: Mapping[str, str]) -> None:
        await self._write(wire.head(response.status, {**response.headers, **extra}, self._clock.now()))

    async def _write_body(self, body: bytes, drip: float) -> None:
        if not drip:
            await self._write(body)
            return
        for byte in body:
            await self._clock.sleep(drip)
            await self._write(bytes([byte]))

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


def changed(response: Response, fault: Fault) -> Response:
    """The response with the status, headers and body that the fault puts in their place."""
    replaced = {name.lower() for name in fault.headers}
    kept = {name: value for name, value in response.headers.items() if name.lower() not in replaced}
    return Response(
        status=fault.status or response.status,
        headers={**kept, **fault.headers},
        body=response.body if fault.body is None else fault.body,
    )


def spaces(size: int) -> Iterator[bytes]:
    """So many bytes of white space: the longest nothing that JSON allows."""
    for start in range(0, size, BLOCK):
        yield b" " * min(BLOCK, size - start)


def zeros_gzipped(size: int) -> Iterator[bytes]:
    """A gzip stream that unfolds to so many zero bytes; a thousandth of it is ever made."""
    gzip = zlib.compressobj(level=9, wbits=GZIP)
    for start in range(0, size, BLOCK):
        # Flushed, each block is at least a byte: an empty chunk would end the body.
        yield gzip.compress(bytes(min(BLOCK, size - start))) + gzip.flush(zlib.Z_SYNC_FLUSH)
    yield gzip.flush()


def _claims_length(response: Response) -> bool:
    return any(name.lower() == "content-length" for name in response.headers)


def _kept(body: bytes, fault: Fault) -> bytes:
    """As much of the body as the fault lets through."""
    if fault.reset == "body":
        return body[: len(body) // 2]
    return body[: fault.truncate]
