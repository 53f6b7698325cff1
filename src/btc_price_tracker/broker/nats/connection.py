"""Connections to NATS that end when they fail: the caller makes another."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from nats.aio.client import Client

from btc_price_tracker.broker.address import Address
from btc_price_tracker.broker.cancellation import finish
from btc_price_tracker.broker.nats.errors import attempt, unavailable
from btc_price_tracker.errors import BrokerUnavailable

MOST_PENDING = 64 << 20  # bytes that a connection may have waiting to be sent


class Connector:
    """Connects to one address."""

    def __init__(self, address: Address, seconds: float) -> None:
        """Give a connection so many seconds to come about."""
        scheme = "tls" if address.scheme == "tls" else "nats"
        hosts = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.hosts)
        self._servers = [f"{scheme}://{host}" for host in hosts]
        self._address = address
        self._seconds = seconds

    async def connect(self, on_close: Callable[[], Awaitable[None]] | None = None) -> Client:
        """A new connection, which isn't made again when it fails; then `on_close` runs. Raises BrokerUnavailable."""
        client, causes = Client(), list[Exception]()

        async def note(error: Exception) -> None:
            causes.append(error)

        address = self._address
        try:
            async with attempt(self._seconds):
                await client.connect(
                    self._servers,
                    error_cb=note,
                    closed_cb=on_close,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=self._seconds,  # type: ignore[arg-type] # any number does
                    user=address.user if address.password is not None else None,
                    password=address.password,
                    token=address.user if address.password is None else None,
                    tls=ssl.create_default_context() if address.scheme == "tls" else None,
                    pending_size=MOST_PENDING,
                )
        except BrokerUnavailable:
            await disconnect(client)
            if causes:  # the client itself says only that no server was left
                raise unavailable(causes[0]) from causes[0]
            raise
        except asyncio.CancelledError:
            await disconnect(client)
            raise
        return client


class SharedConnection:
    """One connection for many requests, made when it is needed, and again when it has failed."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    async def client(self) -> Client:
        """The connection. Raises BrokerUnavailable."""
        async with self._connecting:
            if self._closed:
                raise BrokerUnavailable("the broker is closed")
            if self._client is None or not self._client.is_connected:
                self._client = await self._connector.connect()
            return self._client

    async def aclose(self) -> None:
        """Disconnect for good."""
        self._closed = True
        async with self._connecting:
            if self._client is not None:
                await disconnect(self._client)


async def disconnect(client: Client) -> None:
    """Close a connection, whatever state it is in, within a second."""
    await finish(client.close(), 1)
