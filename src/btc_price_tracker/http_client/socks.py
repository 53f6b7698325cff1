"""Connections through a SOCKS proxy, such as Tor's."""

import asyncio
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from python_socks import ProxyConnectionError, ProxyError, ProxyType
from python_socks.async_.asyncio import Proxy as Negotiator

from btc_price_tracker.http_client.connection import Connector
from btc_price_tracker.http_client.errors import ProxyRefused, ProxyUnknown
from btc_price_tracker.http_client.proxies import Proxy
from btc_price_tracker.http_client.resolver import Resolver


class SocksConnector(Connector):
    """Opens all connections through one SOCKS proxy."""

    def __init__(self, proxy: Proxy, resolver: Resolver, **options: Any) -> None:
        """The options are those of aiohttp.TCPConnector."""
        super().__init__(
            resolver=_Unresolved() if proxy.takes_names else resolver,
            family=socket.AF_INET if proxy.url.scheme == "socks4" else socket.AF_UNSPEC,  # it knows no IPv6
            **options,
        )
        self._proxy = proxy
        self._addresses = resolver

    async def _wrap_create_connection(
        self,
        *args: Any,
        addr_infos: list[Any],
        req: aiohttp.ClientRequest,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
        client_error: type[Exception] = aiohttp.ClientConnectorError,
        **kwargs: Any,
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        """Connect to the first of the addresses; aiohttp tries the others."""
        host, port = addr_infos[0][4][:2]
        kwargs["sock"] = await self._negotiate(host, port, req)
        return await self._wrap_existing_connection(
            *args, req=req, timeout=timeout, client_error=client_error, **kwargs
        )

    async def _negotiate(self, host: str, port: int, req: aiohttp.ClientRequest) -> socket.socket:
        """Return a socket that is connected to the host through the proxy."""
        url = self._proxy.url
        try:
            found = await self._addresses.resolve(str(url.host), url.port or 0)
        except OSError as error:
            raise ProxyUnknown from error
        kind = ProxyType.SOCKS5 if url.scheme.startswith("socks5") else ProxyType.SOCKS4
        unreachable = OSError("it has no address")
        for each in found:
            negotiator = Negotiator(kind, each["host"], each["port"], url.user, url.password, rdns=True)
            try:
                return await negotiator.connect(host, port)
            except ProxyConnectionError as error:
                unreachable = error
            except ProxyError as error:
                raise ProxyRefused from error
        raise aiohttp.ClientProxyConnectionError(req.connection_key, unreachable)


class _Unresolved(AbstractResolver):
    """Returns names unresolved, for the proxy to resolve."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=host, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Do nothing."""
