"""An HTTP client: the connections for all that one part asks."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from btc_price_tracker.http_client.connection import Connector
from btc_price_tracker.http_client.errors import ProxyUnknown
from btc_price_tracker.http_client.proxies import NO_PROXIES, Proxies, Proxy
from btc_price_tracker.http_client.resolver import Resolver
from btc_price_tracker.http_client.socks import SocksConnector
from btc_price_tracker.http_client.tls import certificates

HEAD = 65536  # bytes of a line in an answer's head: some send long policies
FIELDS = 256  # in a head, or after a chunked body
SOCKS_CONNECT = 5.0  # seconds, where a connection has less: Tor may have to build a circuit first


class ConnectionEnded(aiohttp.ClientError):
    """A connection kept from before broke without an answer. It most likely ended before we asked: ask again."""


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
        """Needs a running event loop; `keep_alive` in seconds. Raises HttpClientError."""
        self._proxies = Proxies.of_environment() if trust_env else NO_PROXIES
        self._resolver = Resolver()
        self._timeout = timeout
        self._headers = headers
        self._connections: dict[str, Any] = {
            "limit": 0,
            "ssl": certificates() if trust_env else True,
            "keepalive_timeout": keep_alive,
            "resolver": self._resolver,
        }
        self._sessions: dict[
            Proxy | None, aiohttp.ClientSession
        ] = {}  # one for each SOCKS proxy, one for the rest

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()
        await self._resolver.close()

    def check(self, urls: Iterable[str]) -> None:
        """Raise HttpClientError where a URL can't be asked, since the environment names no usable proxy for it."""
        for url in urls:
            self._proxies.proxy_for(URL(url))

    @asynccontextmanager
    async def get(
        self, url: URL, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for a URL, once. No redirect is followed, and the body comes as it was sent.

        Raises ConnectionEnded, ProxyUnknown or another aiohttp.ClientError, HttpClientError as `check`, and ValueError
        where the request can't be sent: `describe_error` says what they mean.
        """
        proxy = self._proxies.proxy_for(url)
        http_proxy = proxy.url if proxy and not proxy.is_socks else None
        connection = SimpleNamespace(kept=False)
        try:
            response = await self._session(proxy).get(
                url, headers=headers, proxy=http_proxy, allow_redirects=False, trace_request_ctx=connection
            )
        except _Broken as error:
            raise (ConnectionEnded if connection.kept else aiohttp.ClientError) from error
        except aiohttp.ClientConnectorDNSError as error:
            if http_proxy is None:
                raise
            raise ProxyUnknown from error
        async with response:
            yield response

    def _session(self, proxy: Proxy | None) -> aiohttp.ClientSession:
        socks = proxy if proxy and proxy.is_socks else None
        if socks not in self._sessions:
            self._sessions[socks] = self._open(socks)
        return self._sessions[socks]

    def _open(self, socks: Proxy | None) -> aiohttp.ClientSession:
        connector: Connector
        if socks is None:
            connector, timeout = Connector(**self._connections), self._timeout
        else:
            connector = SocksConnector(socks, **self._connections)
            timeout = _with_connect(self._timeout, SOCKS_CONNECT)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
            headers=self._headers,
            auto_decompress=False,
            max_line_size=HEAD,
            max_field_size=HEAD,
            max_headers=FIELDS,
            middlewares=[_once],
            trace_configs=[_noting_reuse()],
        )


def _with_connect(timeout: aiohttp.ClientTimeout, least: float) -> aiohttp.ClientTimeout:
    """The same, with so many seconds for a connection at least."""
    connect = max(timeout.connect or 0, least)
    return aiohttp.ClientTimeout(total=timeout.total, connect=connect, sock_read=timeout.sock_read)


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
