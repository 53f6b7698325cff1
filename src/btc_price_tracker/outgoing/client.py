"""An HTTP client: one pool of connections for all that one part asks."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from btc_price_tracker.outgoing.certificates import certificates
from btc_price_tracker.outgoing.connection import Connection
from btc_price_tracker.outgoing.proxies import proxies, way
from btc_price_tracker.outgoing.resolver import Resolver

HEAD = 65536  # bytes of a line in an answer's head: some send long policies
FIELDS = 256  # in a head, or after a chunked body


class ConnectionEnded(aiohttp.ClientError):
    """A connection kept from before broke without an answer. It most likely ended before we asked: ask again."""


class ProxyUnknown(aiohttp.ClientError):
    """The proxy's name can't be resolved. (The server's is for the proxy to resolve.)"""


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
        self._resolver = Resolver()
        self._session = aiohttp.ClientSession(
            connector=_Connector(limit=0, ssl=trusted, keepalive_timeout=keep_alive, resolver=self._resolver),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
            headers=headers,
            auto_decompress=False,
            max_line_size=HEAD,
            max_field_size=HEAD,
            max_headers=FIELDS,
            middlewares=[_once],
            trace_configs=[_noting_reuse()],
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        await self._resolver.close()

    @asynccontextmanager
    async def get(
        self, url: URL, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for a URL, once. No redirect is followed, and the body comes as it was sent.

        Raises ConnectionEnded, ProxyUnknown or another aiohttp.ClientError, and ValueError where the request can't be
        sent: `in_words` says what they mean.
        """
        proxy = way(url, self._proxies)
        connection = SimpleNamespace(kept=False)
        try:
            response = await self._session.get(
                url, headers=headers, proxy=proxy, allow_redirects=False, trace_request_ctx=connection
            )
        except _Broken as error:
            raise (ConnectionEnded if connection.kept else aiohttp.ClientError) from error
        except aiohttp.ClientConnectorDNSError as error:
            if proxy is None:
                raise
            raise ProxyUnknown from error
        async with response:
            yield response


class _Connector(aiohttp.TCPConnector):
    """Makes connections of ours."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        kind: Callable[..., ResponseHandler] = Connection
        self._factory = partial(kind, loop=self._loop)


class _Broken(aiohttp.ClientError):
    """A connection broke before an answer came."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from asking again by itself, unseen by whoever counts the requests."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Broken from error


def _noting_reuse() -> aiohttp.TraceConfig:
    """Tell each request whether its connection was kept from an earlier one."""

    async def note(_: aiohttp.ClientSession, request: SimpleNamespace, __: object) -> None:
        request.trace_request_ctx.kept = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(note)
    return trace
