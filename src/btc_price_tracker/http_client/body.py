"""The body of an answer, as far as anyone wants it."""

import aiohttp


class ResponseTooLarge(Exception):
    """The body is longer than whoever asked can use."""


async def read_limited(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read the body. Raises ResponseTooLarge as soon as it has more than `most` bytes, and aiohttp.ClientError."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > most:
            raise ResponseTooLarge
    return bytes(body)
