"""One HTTP request to a source: a whole reply, whatever it means, or a fault in plain words."""

from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError
from yarl import URL

from btc_price_tracker import __version__
from btc_price_tracker.outgoing import Client, causes, in_words
from btc_price_tracker.sources.body import MAX_BYTES
from btc_price_tracker.sources.faults import NotAQuote, SourceFault, Unreachable

CONNECT_SECONDS = 2.0  # of the deadline at most, so that a lost SYN leaves time for a second try
KEEP_ALIVE_SECONDS = 30.0  # a connection serves several rounds: fewer handshakes for both sides


class Reply(NamedTuple):
    """What a source sent: any status, the whole body, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def open_client(*, use_proxies: bool = True) -> Client:
    """Make the HTTP client that all sources share; the total deadline is the caller's. Raises OutgoingError."""
    return Client(
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        headers={
            "User-Agent": f"btc-price-tracker/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        },
        keep_alive=KEEP_ALIVE_SECONDS,
        use_proxies=use_proxies,
    )


class Endpoint:
    """Where one source is asked. The key never leaves it: not in its repr, a fault or the reply."""

    def __init__(self, client: Client, url: str, key: str = "", key_header: str = "") -> None:
        self._client = client
        self._url = URL(url)
        self._key = key
        self._headers = {key_header: key} if key else {}

    async def get(self) -> Reply:
        """Ask once. Raises Unreachable where no whole reply comes, NotAQuote on one too large or garbled."""
        try:
            async with self._client.get(self._url, self._headers) as response:
                return Reply(response.status, response.headers, self._veiled(await _body(response)))
        except (aiohttp.ClientError, ValueError) as error:
            raise _fault(error) from None  # the cause may quote our headers

    def _veiled(self, body: bytes) -> bytes:
        """The body without our key, in case the source quotes it back."""
        return body.replace(self._key.encode(), b"***") if self._key else body


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Read the body, decompressed in pieces, and give up as soon as it is too large."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_BYTES:
            raise NotAQuote(f"the body is larger than {MAX_BYTES} bytes")
    return bytes(body)


def _fault(error: Exception) -> SourceFault:
    if any(isinstance(cause, ContentEncodingError) for cause in causes(error)):
        return NotAQuote("the body is not what its Content-Encoding says")
    return Unreachable(in_words(error))
