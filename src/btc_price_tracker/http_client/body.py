"""The body of an answer, as far as anyone wants it."""

import aiohttp


class TooLarge(Exception):
    """The body is longer than whoever asked can use."""


async def whole(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read the body. Raises TooLarge as soon as it has more than `most` bytes, and aiohttp.ClientError."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > most:
            raise TooLarge
    return bytes(body)
