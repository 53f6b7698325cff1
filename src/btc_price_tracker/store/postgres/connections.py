"""A few connections that are shared, replaced when they break, and never waited for without a limit."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Self, TypeAlias, TypeVar, TypeVarTuple

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store.postgres.errors import FAULTS, OF_THE_CONNECTION, store_error, unreadable_url

READERS = 8  # at most; reads that find none free wait for one
WRITERS = 2  # for appending and pruning, which so wait neither for readers nor for one another
PATIENCE = 5.0  # seconds for a free connection, for connecting, for an answer

_CACHE_SIZE = "statement_cache_size="  # asyncpg's own option, which it takes no URL for

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"  # the classes take no parameter at run time
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Connections:
    """Work on whichever connection is free."""

    def __init__(self, pool: Pool, *, wrapped: bool = False) -> None:
        """`wrapped` work is a transaction, so that a pooler in between has it all done by one server process."""
        self._pool = pool
        self._wrapped = wrapped
        self._closed = False

    @classmethod
    async def open(cls, url: str, most: int) -> Self:
        """At most so many connections; one is made, to see that it can be done. Raises StoreError."""
        url, options = _without_cache_size(url)
        try:
            pool = asyncpg.create_pool(
                url, min_size=1, max_size=most, timeout=PATIENCE, command_timeout=PATIENCE, **options
            )
            return cls(await pool, wrapped=options.get("statement_cache_size") == 0)
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
        async with self._pool.acquire(timeout=PATIENCE) as connection, self._scope(connection):
            return await work(connection, *args)

    def _scope(self, connection: Connection) -> AbstractAsyncContextManager[Any]:
        return connection.transaction() if self._wrapped else nullcontext()


def recoverable(connection: Connection) -> AbstractAsyncContextManager[Any]:
    """A block in which a statement may fail without ending the transaction around it, if there is one."""
    return connection.transaction() if connection.is_in_transaction() else nullcontext()


def _without_cache_size(url: str) -> tuple[str, dict[str, Any]]:
    """The URL without `statement_cache_size`, which would go to the server as a setting of the session."""
    address, _, query = url.partition("?")
    options = query.split("&")
    sizes = [option.removeprefix(_CACHE_SIZE) for option in options if option.startswith(_CACHE_SIZE)]
    if not sizes:
        return url, {}
    if not re.fullmatch("[0-9]{1,4}", sizes[-1]):
        raise unreadable_url()
    rest = "&".join(option for option in options if not option.startswith(_CACHE_SIZE))
    return f"{address}?{rest}" if rest else address, {"statement_cache_size": int(sizes[-1])}
