"""A few connections that are shared, replaced when they break, and never waited for without a limit."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self, TypeAlias, TypeVar, TypeVarTuple

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from btc_price_tracker.store import StoreError
from btc_price_tracker.store.postgres.faults import FAULTS, OF_THE_CONNECTION, store_error, unreadable_url

CONNECTIONS = 8  # at most; reads that find none free wait for one
PATIENCE = 5.0  # seconds for a free connection, for connecting, for an answer

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"  # the classes take no parameter at run time
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Connections:
    """Work on whichever connection is free."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._closed = False

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect once, to see that it can be done. Raises StoreError."""
        try:
            pool = asyncpg.create_pool(
                url, min_size=1, max_size=CONNECTIONS, timeout=PATIENCE, command_timeout=PATIENCE
            )
            return cls(await pool)
        except asyncpg.ClientConfigurationError:
            raise unreadable_url() from None
        except FAULTS as error:  # before ValueError: a certificate that fails is both
            raise store_error(error) from None
        except (ValueError, TypeError):
            raise unreadable_url() from None

    async def run(self, work: Callable[[Connection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """`await work(connection, *args)`, once more if the connection turns out to be broken or to lead astray.

        So work must be fit to be done twice. Raises StoreError if the database fails, or once closed.
        """
        if self._closed:
            raise StoreError("the store is closed")
        try:
            try:
                return await self._attempt(work, *args)
            except OF_THE_CONNECTION:
                await self._pool.expire_connections()  # the others are of the same age, and no better
                return await self._attempt(work, *args)
        except FAULTS as error:
            raise store_error(error) from error

    async def close(self) -> None:
        """Let what runs come to its end, then disconnect."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(PATIENCE):
                await self._pool.close()
        except FAULTS:
            self._pool.terminate()

    async def _attempt(self, work: Callable[[Connection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        async with self._pool.acquire(timeout=PATIENCE) as connection:
            return await work(connection, *args)
