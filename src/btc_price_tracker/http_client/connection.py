"""A client's connection that accepts no longer response head than an honest server sends.

aiohttp bounds the lines of a head, but neither the head as such nor the interim responses before it: a client must be
able to parse any number of these (RFC 9110 15.2), and a server that sends them without end keeps the event loop busy.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from btc_price_tracker.http_client.errors import TooLongHead

MAX_RESPONSES = 9  # to one request: the final one, and interim ones, of which honest servers send one or two
MAX_HEAD = 131_072  # bytes until the final head is complete; honest ones have a few thousand
SWITCHING = 101  # 1xx, yet final


class Connection(ResponseHandler):
    """Aborts with TooLongHead when a response head exceeds the limits."""

    _responses = 0
    _head: int | None = None  # bytes received of it; None while none is expected

    def set_response_params(self, **parameters: Any) -> None:
        """Expect the response to a request."""
        self._responses = self._head = 0
        super().set_response_params(**parameters)

    def data_received(self, data: bytes) -> None:
        """Parse what the server sent."""
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
        if self._responses > MAX_RESPONSES or (self._head or 0) > MAX_HEAD:
            self._abort()

    def feed_data(self, data: tuple[Any, aiohttp.StreamReader], size: int = 0) -> None:
        """Receive a response whose head is complete."""
        self._responses += 1
        if self._responses > MAX_RESPONSES:
            return
        code = data[0].code
        if code >= 200 or code == SWITCHING:
            self._head = None
        super().feed_data(data, size)

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()
        self.set_exception(TooLongHead())


class Connector(aiohttp.TCPConnector):
    """Opens such connections."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        kind: Callable[..., ResponseHandler] = Connection
        self._factory = partial(kind, loop=self._loop)
