"""mongodb:// — one document per tick, with a TTL index that expires old ones."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError, PyMongoError

from btc_price_tracker.errors import InvalidStoreUrl, StoreClosed, StoreError
from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span, StoreOptions
from btc_price_tracker.store.mongodb.candles import candles
from btc_price_tracker.store.mongodb.documents import Document, document, tick_with_quotes
from btc_price_tracker.store.mongodb.errors import invalid_url, operation
from btc_price_tracker.store.mongodb.expiry import Expiry
from btc_price_tracker.store.mongodb.history import History
from btc_price_tracker.store.mongodb.schema import migrate
from btc_price_tracker.store.mongodb.ticks import Ticks

_EXPIRY_DELAY = 3600  # seconds by which the index expires ticks later than prune() deletes them
_MAX_EXPIRY = 2**31 - 1  # seconds, the limit of the server

Client: TypeAlias = AsyncMongoClient[Document]


class MongoStore:
    """Ticks in a collection. Several stores may append to one database concurrently.

    A batch whose append fails may be stored in part, since without a replica set MongoDB has no transactions;
    repeating the append stores the rest.
    """

    def __init__(self, client: Client, database: AsyncDatabase[Document], options: StoreOptions) -> None:
        self._client = client
        self._timeout = options.operation_timeout
        self._prune_batch = options.prune_batch
        self._name = database.name
        self._ticks = Ticks(database["ticks"])
        self._expiry = Expiry(database["ticks"])
        self._history = History(database["btc_price_tracker"])
        self._closed = False

    async def append(self, ticks: list[Tick]) -> int:
        """Store ticks, in the journals of a majority of the servers unless the URL sets a write concern."""
        documents = await asyncio.to_thread(_documents, ticks)  # encoding quotes takes CPU time
        with self._operation():
            if not documents:
                return 0
            await self._history.record_append(min(documents), max(documents))
            return await self._ticks.insert(list(documents.values()))

    async def span(self) -> Span:
        """The range of ids that is stored now."""
        with self._operation():
            return await self._history.span(self._ticks)

    async def get(self, tick_id: int) -> Tick | None:
        """The tick with this id and its quotes, or None."""
        with self._operation():
            found = await self._ticks.get(tick_id)
        return None if found is None else tick_with_quotes(found)

    async def newest(self, limit: int) -> list[Tick]:
        """The last `limit` ticks, oldest first, without their quotes."""
        with self._operation():
            return await self._ticks.newest(limit)

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The oldest `limit` ticks with after < id (≤ until), oldest first, without their quotes."""
        with self._operation():
            return await self._ticks.page(after, until, limit)

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The same with the quotes of each tick."""
        with self._operation():
            found = await self._ticks.page_with_quotes(after, until, limit)
        return await asyncio.to_thread(lambda: list(map(tick_with_quotes, found)))  # takes CPU time

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        """Ids with after < id (≤ until), oldest first: at most `limit`, after skipping `skip`."""
        with self._operation():
            return await self._ticks.ids(after, until, skip, limit)

    async def candles(self, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
        """At most `limit` candles of `seconds` that begin in [first, last] seconds."""
        with self._operation():
            return await candles(self._ticks, seconds, first, last, limit)

    async def prune(self, before: int) -> int:
        """Delete ticks with id < before in batches."""
        total = 0
        while deleted := await self._delete_batch(before):
            total += deleted
        return total

    async def describe(self) -> str:
        """The name of the database, and whether it expires old prices."""
        with self._operation():
            expires = await self._expiry.is_active()
        return f"MongoDB, database {self._name}, {'with' if expires else 'without'} a TTL index"

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        await self._client.close()

    async def _delete_batch(self, before: int) -> int:
        with self._operation():
            ids = await self._ticks.oldest(before, self._prune_batch)
            if not ids:
                return 0
            deleted = await self._ticks.delete(ids[-1])
            await self._history.record_dropped(ids[-1], await self._ticks.end(1))
            return deleted

    @contextmanager
    def _operation(self) -> Iterator[None]:
        if self._closed:
            raise StoreClosed
        with operation(self._timeout):
            yield


async def open_url(url: str, options: StoreOptions) -> MongoStore:
    """Open the store in the database that a URL names. Raises StoreError.

    The URL is a connection string (mongodb.com/docs/manual/reference/connection-string), as PyMongo reads it.
    """
    client = _client(url)
    try:
        database = _database(client)
        with operation(options.operation_timeout):
            await migrate(database)
            await Expiry(database["ticks"]).set(_seconds(options.retention))
            await History(database["btc_price_tracker"]).create()
    except BaseException:  # also if the opening is cancelled
        await client.close()
        raise
    return MongoStore(client, database, options)


def _documents(ticks: list[Tick]) -> dict[int, Document]:
    """Documents by id; of several ticks with the same id, the first."""
    return {tick.id: document(tick) for tick in reversed(ticks)}


def _client(url: str) -> Client:
    try:
        return AsyncMongoClient(url)
    except OSError as error:
        raise StoreError(f"mongodb: {error.filename}: {error.strerror}; correct STORE_URL") from None
    except (PyMongoError, ValueError, TypeError):
        raise invalid_url() from None


def _database(client: Client) -> AsyncDatabase[Document]:
    concern = client.write_concern
    durable = WriteConcern("majority", j=True) if concern.is_server_default else concern
    try:
        return client.get_default_database(write_concern=durable)
    except ConfigurationError:
        raise InvalidStoreUrl(
            "STORE_URL can't be used: it names no database; add one after the host, as in mongodb://localhost/prices"
        ) from None


def _seconds(retention: int | None) -> int | None:
    return None if retention is None else min(retention // 1000 + _EXPIRY_DELAY, _MAX_EXPIRY)
