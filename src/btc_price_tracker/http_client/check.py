"""Check certificates and proxies without a request to a server."""

import asyncio
from collections.abc import Iterable

from yarl import URL

from btc_price_tracker.errors import HttpClientError
from btc_price_tracker.http_client.proxies import Proxies, Proxy
from btc_price_tracker.http_client.resolver import Resolver
from btc_price_tracker.http_client.tls import certificates
from btc_price_tracker.http_client.words import describe_error

CONNECT_TIMEOUT = 5.0  # seconds for a connection to a proxy


async def check_connectivity(urls: Iterable[str], seconds: float = CONNECT_TIMEOUT) -> None:
    """Read the certificates and connect to each proxy that these URLs need, within so many seconds each.

    Raises HttpClientError that names the variable and the remedy.
    """
    certificates()
    proxies = Proxies.of_environment()
    resolver = Resolver()
    try:
        for proxy in dict.fromkeys(proxies.proxy_for(URL(url)) for url in urls):
            if proxy is not None:
                await _check(proxy, resolver, seconds)
    finally:
        await resolver.close()


async def _check(proxy: Proxy, resolver: Resolver, seconds: float) -> None:
    where = f"{proxy.url.host}:{proxy.url.port}"
    try:
        async with asyncio.timeout(seconds):
            await _connect(proxy, resolver)
    except OSError as error:  # TimeoutError is one
        words = (
            f"no connection within {seconds:g} s"
            if isinstance(error, TimeoutError)
            else describe_error(error)
        )
        raise HttpClientError(
            f"{proxy.variable} can't be used: {where} doesn't answer ({words}); give a proxy that does, or unset it"
        ) from error


async def _connect(proxy: Proxy, resolver: Resolver) -> None:
    """Connect to the first of the proxy's addresses that answers. Raises OSError where none does."""
    found = await resolver.resolve(str(proxy.url.host), proxy.url.port or 0)
    for left, each in zip(reversed(range(len(found))), found, strict=True):
        try:
            _, writer = await asyncio.open_connection(each["host"], each["port"])
        except OSError:
            if not left:
                raise
        else:
            writer.close()
            return
