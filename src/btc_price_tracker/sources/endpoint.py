"""One HTTP request to a source: a whole reply, whatever it means, or a fault in plain words."""

import gzip
import io
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
from yarl import URL

from btc_price_tracker import __version__
from btc_price_tracker.errors import ConnectionDropped, InvalidQuote, LocalError, SourceUnreachable
from btc_price_tracker.http_client.body import ResponseTooLarge, read_limited
from btc_price_tracker.http_client.client import Client, ConnectionEnded
from btc_price_tracker.http_client.words import describe_error, is_local
from btc_price_tracker.sources.parsing import MAX_BYTES

CONNECT_SECONDS = 2.0  # of the deadline at most, so that a lost SYN leaves time for a second try
KEEP_ALIVE_SECONDS = 30.0  # a connection serves several rounds: fewer handshakes for both sides


class SourceResponse(NamedTuple):
    """What a source sent: any status, the headers by names in small letters, the whole body, gunzipped."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def open_client(*, trust_env: bool = True) -> Client:
    """Make the HTTP client that all sources share; the total deadline is the caller's. Raises HttpClientError."""
    return Client(
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
        headers={
            "User-Agent": f"btc-price-tracker/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        },
        keep_alive=KEEP_ALIVE_SECONDS,
        trust_env=trust_env,
    )


class Endpoint:
    """Where one source is asked."""

    def __init__(self, client: Client, url: str, key: str = "", key_header: str = "") -> None:
        self._client = client
        self._url = URL(url)
        self._headers = {key_header: key} if key else {}

    async def get(self) -> SourceResponse:
        """Ask once.

        Raises SourceUnreachable if no complete response comes, InvalidQuote if it is too large or garbled, LocalError.
        Of the SourceUnreachable, ConnectionDropped is worth asking again at once.
        """
        try:
            async with self._client.get(self._url, self._headers) as response:
                reply = SourceResponse(
                    response.status, _headers(response), await read_limited(response, MAX_BYTES)
                )
        except ResponseTooLarge:
            raise _too_large() from None
        except ConnectionEnded as error:
            raise ConnectionDropped(describe_error(error)) from None  # the cause may quote our headers
        except aiohttp.ClientError as error:  # of which a bad certificate is a ValueError, too
            raise (LocalError if is_local(error) else SourceUnreachable)(describe_error(error)) from None
        except ValueError:
            raise SourceUnreachable("the request can't be sent: check the API key") from None
        return reply._replace(body=_gunzipped(reply))


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Each header once: one that comes twice is a list (RFC 9110, 5.3)."""
    headers = response.headers
    return {name.lower(): ", ".join(headers.getall(name)) for name in headers}


def _gunzipped(reply: SourceResponse) -> bytes:
    """The body as it was before it was packed; as it came, if it refuses us anyway or we don't know its encoding."""
    if reply.headers.get("content-encoding", "").lower() not in ("gzip", "x-gzip"):
        return reply.body
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(reply.body)) as file:
            body = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        if reply.status != 200:
            return reply.body
        raise InvalidQuote("the body is not what its Content-Encoding says") from None
    if len(body) > MAX_BYTES:
        raise _too_large()
    return body


def _too_large() -> InvalidQuote:
    return InvalidQuote(f"the body is larger than {MAX_BYTES} bytes")
