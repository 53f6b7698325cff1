"""Errors on the path to another host."""

import aiohttp


class ProxyUnknown(aiohttp.ClientError):
    """The proxy's name can't be resolved. (The server's is for the proxy to resolve.)"""


class ProxyRefused(aiohttp.ClientError):
    """The proxy makes no connection: it can't reach the server, or rejects our credentials."""
