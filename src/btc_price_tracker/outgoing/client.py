"""An HTTP client: one pool of connections for all that one part asks."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from btc_price_tracker.outgoing.certificates import certificates
from btc_price_tracker.outgoing.proxies import proxies, way

HEAD = 65536  # bytes of a line in an answer's head: some send long policies
FIELDS = 1000  # in a head


class Client:
    """Connections that are kept for the next request. Close it when done, as a context."""

    def __init__(
        self,
        timeout: aiohttp.ClientTimeout,
        headers: Mapping[str, str],
        keep_alive: float = 15,
        *,
        trust_env: bool = True,
    ) -> None:
        """Needs a running event loop; `keep_alive` in seconds. Raises OutgoingError."""
        trusted = certificates() if trust_env else True
        self._proxies = proxies() if trust_env else {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trusted, keepalive_timeout=keep_alive),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
            headers=headers,
            auto_decompress=False,
            max_line_size=HEAD,
            max_field_size=HEAD,
            max_headers=FIELDS,
            middlewares=[_once],
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    def get(
        self, url: URL, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Ask for a URL, once. No redirect is followed, and the body comes as it was sent.

        Raises aiohttp.ClientError, and ValueError where the request can't be sent; `in_words` says what they mean.
        """
        return self._session.get(url, headers=headers, proxy=way(url, self._proxies), allow_redirects=False)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from asking again by itself, unseen by whoever counts the requests."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientError from error
