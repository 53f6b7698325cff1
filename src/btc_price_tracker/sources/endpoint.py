"""One HTTP request to a source: a whole reply, whatever it means, or a fault in plain words."""

import contextlib
import socket
import ssl
from collections.abc import Mapping
from typing import NamedTuple

import httpx2

from btc_price_tracker import __version__
from btc_price_tracker.outgoing import DIRECT, in_words
from btc_price_tracker.sources.body import MAX_BYTES
from btc_price_tracker.sources.faults import NotAQuote, SourceFault, Unreachable

CONNECT_SECONDS = 2.0  # of the deadline at most, so that a lost SYN leaves time for a second try
KEEP_ALIVE_SECONDS = 30.0  # a connection serves several rounds: fewer handshakes for both sides


class Reply(NamedTuple):
    """What a source sent: any status, the whole body, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def open_client(*, trust_env: bool = True) -> httpx2.AsyncClient:
    """Make the HTTP client that all sources share; close it when done. Proxies come from the environment.

    It follows no redirect (an API that moves is a fault to look at). The total deadline is the caller's.
    Raises OutgoingError.
    """
    with in_words():
        return httpx2.AsyncClient(
            headers={
                "User-Agent": f"btc-price-tracker/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
            },
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS),
            mounts=DIRECT,
            trust_env=trust_env,
        )


class Endpoint:
    """Where one source is asked. The key never leaves it: not in its repr, a fault or the reply."""

    def __init__(self, client: httpx2.AsyncClient, url: str, key: str = "", key_header: str = "") -> None:
        self._client = client
        self._url = url
        self._key = key
        self._headers = {key_header: key} if key else {}
        self._request: httpx2.Request | None = None  # made once: that takes a quarter of the time of asking

    async def get(self) -> Reply:
        """Ask once. Raises Unreachable where no whole reply comes, NotAQuote on one too large or garbled."""
        try:
            async with contextlib.aclosing(await self._send()) as response:
                return Reply(response.status_code, response.headers, self._veiled(await _body(response)))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _fault(error) from None  # the cause may quote our headers

    async def _send(self) -> httpx2.Response:
        if self._request is None:
            self._request = self._client.build_request("GET", self._url, headers=self._headers)
        return await self._client.send(self._request, stream=True)

    def _veiled(self, body: bytes) -> bytes:
        """The body without our key, in case the source quotes it back."""
        return body.replace(self._key.encode(), b"***") if self._key else body


async def _body(response: httpx2.Response) -> bytes:
    """Read the body, decompressed in pieces, and give up as soon as it is too large."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_BYTES:
            raise NotAQuote(f"the body is larger than {MAX_BYTES} bytes")
    return bytes(body)


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "its name can't be resolved (DNS)"),
    (ssl.SSLError, "TLS failed: no valid certificate, or not TLS at all"),
    (ConnectionRefusedError, "the connection was refused"),
    (httpx2.ConnectTimeout, "no connection in time"),
    (httpx2.ProxyError, "the proxy refused"),
    (httpx2.ConnectError, "no connection"),
    (httpx2.NetworkError, "the connection broke"),
    (httpx2.RemoteProtocolError, "the answer broke off or is not HTTP"),
    (httpx2.LocalProtocolError, "the request can't be sent: check the API key"),
)


def _fault(error: Exception) -> SourceFault:
    """Name the fault by the innermost cause that we have words for."""
    if isinstance(error, httpx2.DecodingError):
        return NotAQuote("the body is not what its Content-Encoding says")
    causes = list(_causes(error))
    for kind, words in _WORDS:
        if any(isinstance(cause, kind) for cause in causes):
            return Unreachable(words)
    return Unreachable(f"no answer ({type(error).__name__})")


def _causes(error: BaseException) -> "list[BaseException]":
    """The error and everything that led to it, groups of attempts (IPv6, IPv4) included."""
    inner = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []
    before = error.__cause__ or error.__context__
    return [error, *(cause for each in [*inner, before] if each is not None for cause in _causes(each))]
