"""An HTTP client: it keeps connections alive, uses the environment's proxies, and never retries by itself."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from btc_price_tracker.http_client.connection import MAX_HEAD, Connector
from btc_price_tracker.http_client.errors import ConnectionEnded, ProxyUnknown, ResponseTooLarge
from btc_price_tracker.http_client.proxies import NO_PROXIES, Proxies, Proxy
from btc_price_tracker.http_client.resolver import Resolver
from btc_price_tracker.http_client.socks import SocksConnector
from btc_price_tracker.http_client.tls import certificates

MAX_LINE = 65_536  # bytes of a line in a response head: some send long policies
MAX_FIELDS = 256  # in a head, or after a chunked body


class Client:
    """Connections that are kept for the next request. Close it when done, as a context."""

    def __init__(
        self,
        timeout: aiohttp.ClientTimeout,
        headers: Mapping[str, str],
        max_body: int,
        *,
        keep_alive: float = 15.0,
        socks_connect_timeout: float = 5.0,
        trust_env: bool = True,
    ) -> None:
        """Needs a running event loop; times in seconds. Raises HttpClientError.

        `max_body` is the size in bytes of the largest body that will be read, see `read_limited`. A response that takes
        more than twice as many is aborted, whatever its body is.
        `socks_connect_timeout` applies where the connect timeout is shorter: Tor may have to build a circuit first.
        """
        self._proxies = Proxies.of_environment() if trust_env else NO_PROXIES
        self._resolver = Resolver()
        self._timeout = timeout
        self._socks_connect_timeout = socks_connect_timeout
        self._headers = headers
        self._connections: dict[str, Any] = {
            "max_response": MAX_HEAD + 2 * max_body,
            "limit": 0,
            "ssl": certificates() if trust_env else True,
            "keepalive_timeout": keep_alive,
            "resolver": self._resolver,
        }
        self._sessions: dict[
            Proxy | None, aiohttp.ClientSession
        ] = {}  # one per SOCKS proxy, one for the rest

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()
        await self._resolver.close()

    def check(self, urls: Iterable[str]) -> None:
        """Raise HttpClientError if the environment names an unusable proxy for one of these URLs."""
        for url in urls:
            self._proxies.proxy_for(URL(url))

    @asynccontextmanager
    async def get(
        self, url: URL, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one GET request. Redirects are not followed, and the body is not decoded.

        Raises ConnectionEnded, ProxyUnknown or another aiohttp.ClientError, HttpClientError as `check`, and ValueError
        if the request can't be sent: `describe_error` has texts for them.
        """
        proxy = self._proxies.proxy_for(url)
        http_proxy = proxy.url if proxy and not proxy.is_socks else None
        connection = SimpleNamespace(reused=False)
        try:
            response = await self._session(proxy).get(
                url, headers=headers, proxy=http_proxy, allow_redirects=False, trace_request_ctx=connection
            )
        except _Disconnected as error:
            raise (ConnectionEnded if connection.reused else aiohttp.ClientError) from error
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
            timeout = _with_connect(self._timeout, self._socks_connect_timeout)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=_NoCookies(),
            timeout=timeout,
            headers=self._headers,
            auto_decompress=False,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            max_headers=MAX_FIELDS,
            middlewares=[_without_retry],
            trace_configs=[_noting_reuse()],
        )


async def read_limited(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Read the body. Raises ResponseTooLarge as soon as it exceeds `max_bytes`, and aiohttp.ClientError."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > max_bytes:
            raise ResponseTooLarge
    return bytes(body)


class _NoCookies(aiohttp.DummyCookieJar):
    """Neither keeps cookies nor parses them: aiohttp would log each that it can't parse, as the server has it."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        pass


def _with_connect(timeout: aiohttp.ClientTimeout, seconds: float) -> aiohttp.ClientTimeout:
    """Return the same with a connect timeout of so many seconds at least."""
    connect = max(timeout.connect or 0, seconds)
    return aiohttp.ClientTimeout(total=timeout.total, connect=connect, sock_read=timeout.sock_read)


class _Disconnected(aiohttp.ClientError):
    """A connection ended before a response came."""


async def _without_retry(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from retrying by itself, which no rate limiter would count."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Disconnected from error


def _noting_reuse() -> aiohttp.TraceConfig:
    """Note in each request's context whether its connection was kept from an earlier one."""

    async def note(_: aiohttp.ClientSession, request: SimpleNamespace, __: object) -> None:
        request.trace_request_ctx.reused = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(note)
    return trace
