"""One HTTP request to a source: a complete response of any status, or a SourceError."""

import zlib
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
from yarl import URL

from btc_price_tracker import __version__
from btc_price_tracker.errors import ConnectionDropped, InvalidQuote, LocalError, SourceUnreachable
from btc_price_tracker.http_client.client import Client, read_limited
from btc_price_tracker.http_client.errors import ConnectionEnded, ResponseTooLarge, describe_error, is_local
from btc_price_tracker.http_client.traced import Getter
from btc_price_tracker.sources.parsing import MAX_BYTES

CONNECT_TIMEOUT = 2.0  # seconds: less than a round, so that a lost SYN leaves time for a second attempt
KEEP_ALIVE = 30.0  # seconds: a connection serves several rounds, which saves both sides handshakes


class SourceResponse(NamedTuple):
    """A response of any status, with lower-case header names and the complete, decompressed body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def open_client(
    *, connect_timeout: float = CONNECT_TIMEOUT, keep_alive: float = KEEP_ALIVE, trust_env: bool = True
) -> Client:
    """Make the HTTP client that all sources share; the caller limits the total time. Raises HttpClientError."""
    return Client(
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout),
        headers={
            "User-Agent": f"btc-price-tracker/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        },
        max_body=MAX_BYTES,
        keep_alive=keep_alive,
        trust_env=trust_env,
    )


class Endpoint:
    """The URL of a source, with its API key if it has one."""

    def __init__(self, client: Getter, url: str, key: str = "", key_header: str = "") -> None:
        self._client = client
        self._url = URL(url)
        self._headers = {key_header: key} if key else {}

    async def get(self) -> SourceResponse:
        """Send one request.

        Raises SourceUnreachable if no complete response comes, InvalidQuote if it is too large or can't be
        decompressed, LocalError. Of the SourceUnreachable, ConnectionDropped is worth a retry at once.
        """
        try:
            async with self._client.get(self._url, self._headers) as response:
                body = await _body(response)
                return _decompressed(SourceResponse(response.status, _headers(response), body))
        except ResponseTooLarge:
            raise _too_large() from None
        except ConnectionEnded as error:
            raise ConnectionDropped(describe_error(error)) from None  # the cause may quote our headers
        except aiohttp.ClientError as error:  # of which a bad certificate is a ValueError, too
            raise (LocalError if is_local(error) else SourceUnreachable)(describe_error(error)) from None
        except ValueError:
            raise SourceUnreachable("the request can't be sent: check the API key") from None


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return each header once: one that comes twice is a list (RFC 9110, 5.3)."""
    headers = response.headers
    return {name.lower(): ", ".join(headers.getall(name)) for name in headers}


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Read the body. That of an error may be too large: its status and its headers mean the same without it."""
    try:
        return await read_limited(response, MAX_BYTES)
    except ResponseTooLarge:
        if response.status == 200:
            raise
        return b""


def _decompressed(response: SourceResponse) -> SourceResponse:
    """Decompress a gzip body; leave other encodings, and a corrupt body that comes with an error status."""
    if response.headers.get("content-encoding", "").lower() not in ("gzip", "x-gzip"):
        return response
    try:
        return response._replace(body=_decompress(response.body))
    except InvalidQuote:
        if response.status != 200:
            return response
        raise


def _decompress(body: bytes) -> bytes:
    """Decompress gzip (RFC 1952): one member, since thousands of empty ones would block the event loop."""
    gzip = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = gzip.decompress(body, MAX_BYTES + 1)
    except zlib.error:
        raise InvalidQuote("the body is not what its Content-Encoding says") from None
    if len(plain) > MAX_BYTES:
        raise _too_large()
    if not gzip.eof or gzip.unused_data:
        raise InvalidQuote("the body is not what its Content-Encoding says")
    return plain


def _too_large() -> InvalidQuote:
    return InvalidQuote(f"the response is larger than {MAX_BYTES} bytes")
