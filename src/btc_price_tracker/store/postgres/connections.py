"""A connection pool that replaces lost connections and never waits without a timeout."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Self, TypeAlias, TypeVar, TypeVarTuple

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from btc_price_tracker.errors import StoreClosed
from btc_price_tracker.store.postgres.errors import CONNECTION_ERRORS, ERRORS, invalid_url, store_error

_CACHE_SIZE = "statement_cache_size="  # asyncpg's own option, which it doesn't read from a URL

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"  # the classes take no parameter at run time
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Connections:
    """Runs work on any free connection of a pool.

    Each of these may take `seconds`: acquiring a connection, connecting, one query, closing the pool.
    """

    def __init__(self, pool: Pool, seconds: float, *, in_transaction: bool = False) -> None:
        """With `in_transaction`, work runs in a transaction, so that a pooler keeps it on one server connection."""
        self._pool = pool
        self._seconds = seconds
        self._in_transaction = in_transaction
        self._closed = False

    @classmethod
    async def open(cls, url: str, max_size: int, seconds: float) -> Self:
        """Create a pool of at most `max_size` connections and connect one of them. Raises StoreError."""
        url, options = _without_cache_size(url)
        try:
            pool = await asyncpg.create_pool(
                url, min_size=1, max_size=max_size, timeout=seconds, command_timeout=seconds, **options
            )
            return cls(pool, seconds, in_transaction=options.get("statement_cache_size") == 0)
        except asyncpg.ClientConfigurationError:
            raise invalid_url() from None
        except ERRORS as error:  # before ValueError: a failing certificate is both
            raise store_error(error) from None
        except (ValueError, TypeError):
            raise invalid_url() from None

    async def run(self, work: Callable[[Connection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """Await `work(connection, *args)`; retry it once if the connection is lost or no longer leads to a primary.

        So work must be idempotent. Raises StoreError if the database fails, StoreClosed after close().
        """
        if self._closed:
            raise StoreClosed
        try:
            try:
                return await self._attempt(work, *args)
            except CONNECTION_ERRORS:
                await self._pool.expire_connections()  # the others are as old, so most likely lost as well
                return await self._attempt(work, *args)
        except ERRORS as error:
            raise store_error(error) from error

    async def close(self) -> None:
        """Wait for running work, then disconnect. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(self._seconds):
                await self._pool.close()
        except ERRORS:
            self._pool.terminate()

    async def _attempt(self, work: Callable[[Connection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        async with self._pool.acquire(timeout=self._seconds) as connection, self._scope(connection):
            return await work(connection, *args)

    def _scope(self, connection: Connection) -> AbstractAsyncContextManager[Any]:
        return connection.transaction() if self._in_transaction else nullcontext()


def savepoint(connection: Connection) -> AbstractAsyncContextManager[Any]:
    """A block in which a statement may fail without aborting the surrounding transaction, if any."""
    return connection.transaction() if connection.is_in_transaction() else nullcontext()


def _without_cache_size(url: str) -> tuple[str, dict[str, Any]]:
    """Separate `statement_cache_size`, which the server would take for a session setting, from the URL."""
    address, _, query = url.partition("?")
    options = query.split("&")
    sizes = [option.removeprefix(_CACHE_SIZE) for option in options if option.startswith(_CACHE_SIZE)]
    if not sizes:
        return url, {}
    if not re.fullmatch("[0-9]{1,4}", sizes[-1]):
        raise invalid_url()
    rest = "&".join(option for option in options if not option.startswith(_CACHE_SIZE))
    return f"{address}?{rest}" if rest else address, {"statement_cache_size": int(sizes[-1])}
