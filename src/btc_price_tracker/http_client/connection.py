"""A client's connection that accepts no longer response than an honest server sends.

aiohttp bounds the lines of a head, but neither the head as such nor the interim responses before it: a client must be
able to parse any number of these (RFC 9110 15.2), and a server that sends them without end keeps the event loop busy.
So do chunk extensions (RFC 9112 7.1.1) and chunks of one byte, which add little or nothing to a body, and trailers.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from btc_price_tracker.http_client.errors import ResponseTooLarge, TooLongHead

MAX_RESPONSES = 9  # to one request: the final one, and interim ones, of which honest servers send one or two
MAX_HEAD = 131_072  # bytes until the final head is complete; honest ones have a few thousand
SWITCHING = 101  # 1xx, yet final


class Connection(ResponseHandler):
    """Aborts with TooLongHead or ResponseTooLarge when a response exceeds the limits."""

    _responses = 0
    _received = 0  # bytes since the request
    _in_head = False

    def __init__(self, max_response: int, loop: asyncio.AbstractEventLoop) -> None:
        """`max_response` in bytes, head, chunk sizes and trailers included."""
        super().__init__(loop)
        self._max_response = max_response

    def set_response_params(self, **parameters: Any) -> None:
        """Expect the response to a request."""
        self._responses = self._received = 0
        self._in_head = True
        super().set_response_params(**parameters)

    def data_received(self, data: bytes) -> None:
        """Parse what the server sent."""
        super().data_received(data)
        self._received += len(data)
        if self._responses > MAX_RESPONSES or (self._in_head and self._received > MAX_HEAD):
            self._abort(TooLongHead())
        elif self._received > self._max_response:
            self._abort(ResponseTooLarge())

    def feed_data(self, data: tuple[Any, aiohttp.StreamReader], size: int = 0) -> None:
        """Receive a response whose head is complete."""
        self._responses += 1
        if self._responses > MAX_RESPONSES:
            return
        code = data[0].code
        if code >= 200 or code == SWITCHING:
            self._in_head = False
        super().feed_data(data, size)

    def _abort(self, error: aiohttp.ClientError) -> None:
        if self.transport is not None:
            self.transport.abort()
        if self._payload is not None:
            self._payload.set_exception(error)
            self._payload = None  # whose error would be replaced when the connection is lost
        self.set_exception(error)


class Connector(aiohttp.TCPConnector):
    """Opens such connections."""

    def __init__(self, max_response: int, **options: Any) -> None:
        """`max_response` as of Connection; the options are those of aiohttp.TCPConnector."""
        super().__init__(**options)
        kind: Callable[..., ResponseHandler] = Connection
        self._factory = partial(kind, max_response, loop=self._loop)
