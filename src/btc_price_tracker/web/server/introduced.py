"""Whose connection it is: the peer's, or that of the client whom a trusted proxy introduces.

A trusted proxy may do so once, by the PROXY protocol, or in the fields of each request. A connection of anyone else
takes a place among those of its address.
"""

from typing import Any

import structlog
import uvicorn
from uvicorn.server import ServerState

from btc_price_tracker.web.address import proxy_protocol
from btc_price_tracker.web.address.client import Client, client_of
from btc_price_tracker.web.server.incoming import Incoming
from btc_price_tracker.web.server.limits import ConnectionLimits
from btc_price_tracker.web.server.sockets import Place, Reason, Sockets

log = structlog.get_logger(__name__)


class Introduced(Incoming):
    """One that knows its client, as `client` and in the scope of each request."""

    _is_trusted = False  # whether the peer may name the client
    _preface: bytes | None = None  # what may become one of the PROXY protocol
    _place: Place | None = None  # of a peer that isn't trusted

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        limits: ConnectionLimits,
        sockets: Sockets,
    ) -> None:
        super().__init__(config, server_state, app_state, limits)
        self._sockets = sockets

    def data_received(self, data: bytes) -> None:
        """Read a preface where there may be one, then requests."""
        data = self.after_preface(data)
        if data:
            super().data_received(data)

    def after_preface(self, data: bytes) -> bytes:
        """What follows the preface, if there may be one; nothing as long as it isn't complete, or if it is invalid.

        TLS asks for it as well: a proxy that passes TLS on introduces the client before the handshake.
        """
        if self._preface is None:
            return data
        data = self._preface + data
        try:
            preface = proxy_protocol.read(data)
        except ValueError as error:
            log.info("invalid PROXY protocol", client=self.client, reason=str(error))
            self._sockets.refuse(Reason.PREFACE)
            self.transport.abort()
            return b""
        self._preface = data if preface is None else None
        if preface is None:
            return b""
        if preface.client is not None:
            self._meet(preface.client)
            self._preface = None  # one is enough
        return b"" if self.transport.is_closing() else data[preface.size :]

    def on_headers_complete(self) -> None:
        """Check the head and start the request, as one whose client has sent a complete head."""
        if self._place is not None:
            self._place.finish_head()
        super().on_headers_complete()

    def _meet(self, peer: Client) -> None:
        """Take this for the other end; refuse it if its address has too many connections."""
        self.client = peer
        self._is_trusted = peer[0] in self._sockets.peers.trusted
        if self._is_trusted:
            self._preface = b""
            return
        self._place = self._sockets.enter(peer[0])
        if self._place is None:
            self.transport.abort()

    def _identify(self) -> None:
        """Give the scope of the request its client."""
        if self._is_trusted and self.client is not None:
            self.scope["client"] = client_of(self.client, self.scope["headers"], self._sockets.peers.trusted)

    def _leave(self) -> None:
        if self._place is not None:
            self._place.leave()
