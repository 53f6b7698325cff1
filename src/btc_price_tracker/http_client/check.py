"""Check certificates and proxies without a request to a server."""

import asyncio
from collections.abc import Iterable

from yarl import URL

from btc_price_tracker.errors import HttpClientError
from btc_price_tracker.http_client.errors import describe_error
from btc_price_tracker.http_client.proxies import Proxies, Proxy
from btc_price_tracker.http_client.resolver import Resolver
from btc_price_tracker.http_client.tls import certificates

CONNECT_TIMEOUT = 5.0  # seconds for a connection to a proxy


async def check_connectivity(urls: Iterable[str], timeout: float = CONNECT_TIMEOUT) -> None:  # noqa: ASYNC109
    """Read the certificates and connect to each proxy that these URLs need, within `timeout` seconds each.

    Raises HttpClientError that names the variable and the remedy.
    """
    certificates()
    proxies = Proxies.of_environment()
    resolver = Resolver()
    try:
        for proxy in dict.fromkeys(proxies.proxy_for(URL(url)) for url in urls):
            if proxy is not None:
                await _check(proxy, resolver, timeout)
    finally:
        await resolver.close()


async def _check(proxy: Proxy, resolver: Resolver, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await _connect(proxy, resolver)
    except OSError as error:  # TimeoutError is one
        is_late = isinstance(error, TimeoutError)
        reason = f"no connection within {seconds:g} s" if is_late else describe_error(error)
        raise HttpClientError(
            f"{proxy.variable} can't be used: the proxy {proxy.url.host}:{proxy.url.port} is unreachable ({reason}); "
            "set another proxy, or unset it"
        ) from error


async def _connect(proxy: Proxy, resolver: Resolver) -> None:
    """Connect to the first of the proxy's addresses that accepts. Raises OSError if none does."""
    addresses = await resolver.resolve(str(proxy.url.host), proxy.url.port or 0)
    for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
        try:
            _, writer = await asyncio.open_connection(address["host"], address["port"])
        except OSError:
            if not left:
                raise
        else:
            writer.close()
            return
