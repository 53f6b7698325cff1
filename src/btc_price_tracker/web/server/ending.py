"""How a connection ends: after the responses that are due, and so that the client can read the last one."""

import math
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from btc_price_tracker.web.middleware.request_id import new_request_id
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.server.limits import ConnectionLimits

_HSTS = b"strict-transport-security"  # not to be sent without TLS (RFC 6797, 7.2)


class Ending(HttpToolsProtocol):
    """A connection of uvicorn that ends in stages.

    See connection.py for the private attributes of uvicorn that this relies on.
    """

    _due = math.inf  # loop time by which the awaited head must be complete, or the client have closed
    _in_message = False
    _received = 0  # bytes of a message that is not whole yet, less its first piece
    _unparsed = b""  # bytes received after requests that wait for their turn
    _rejection: Problem | None = None  # to be sent after the responses to earlier requests
    _is_broken = False  # a body is malformed or too large: its request has its response, and none can follow
    _is_secure = True  # the client has not sent HTTP where TLS is due
    _is_ending = False  # the last response is written; the client is to close

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.limits = limits

    def write(self, data: bytes) -> None:
        """Write for a response that ends the connection."""
        self.transport.write(data)

    def is_closing(self) -> bool:
        """Whether the connection is closing, for a response that ends it."""
        return self.transport.is_closing()

    def close(self) -> None:
        """End the connection after the last response; the rest of a body may still come."""
        if self._in_message and not self.transport.is_closing():
            self._await_end()
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """End the connection if no further request is read."""
        super().on_response_complete()
        if not self._is_idle() or self._is_ending or self.transport.is_closing():
            return
        if self._rejection is not None:
            self._send_problem(self._rejection)
        elif self._is_broken:
            self._await_end()

    def _is_idle(self) -> bool:
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete

    def _is_over(self) -> bool:
        """Whether no further request is read."""
        return self._is_broken or self._rejection is not None

    def _break_off(self) -> None:
        """End the connection after the responses that are due: a second one to a request would answer the next."""
        self._is_broken = True
        if self._is_idle():
            self._await_end()

    def _reject(self, problem: Problem) -> None:
        """End the connection with this problem: at once, or after the responses that are still due."""
        if self._rejection is None:
            self._rejection = problem
            if self._is_idle():
                self._send_problem(problem)

    def _send_problem(self, problem: Problem) -> None:
        response = problem.response()
        lines = [f"HTTP/1.1 {problem.status} {response.phrase}".encode(), b"connection: close"]
        lines += [b"x-request-id: " + new_request_id().encode(), b"x-content-type-options: nosniff"]
        ours = [field for field in self.server_state.default_headers if self._is_secure or field[0] != _HSTS]
        fields = [*ours, *response.raw_headers]
        lines += [name + b": " + value for name, value in fields]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self._await_end()

    def _await_end(self) -> None:
        """Close the sending side only: a full close would reset a client that still sends, and lose the response.

        See RFC 9112, 9.6. The client has as long as for a head.
        """
        self.transport.write_eof()
        self._is_ending = True
        self._unparsed = b""
        self.pipeline.clear()
        self._received = 0
        self._due = self.loop.time() + self.limits.head_timeout
        self.flow.resume_reading()

    def _linger(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self.limits.max_body:
            self.transport.close()
