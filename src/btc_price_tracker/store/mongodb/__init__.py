"""mongodb:// — a document a tick, which the database expires by itself."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError, PyMongoError

from btc_price_tracker.errors import InvalidStoreUrl, StoreError
from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Span, StoreOptions
from btc_price_tracker.store.mongodb.candles import candles
from btc_price_tracker.store.mongodb.documents import Document, document, whole_tick
from btc_price_tracker.store.mongodb.errors import attempt, unreadable_url
from btc_price_tracker.store.mongodb.expiry import Expiry
from btc_price_tracker.store.mongodb.history import History
from btc_price_tracker.store.mongodb.schema import migrate
from btc_price_tracker.store.mongodb.ticks import Ticks

STEP = 500  # ticks that are deleted in one command

_SLACK = 3600  # seconds by which the index is behind prune()
_LONGEST = 2**31 - 1  # seconds, the server's limit

Client: TypeAlias = AsyncMongoClient[Document]


class MongoStore:
    """Ticks in a collection. Several stores may append to one database at a time.

    A batch whose append fails may be kept in part, since without a replica set MongoDB has no transactions;
    offered again, the rest follows.
    """

    def __init__(self, client: Client, database: AsyncDatabase[Document]) -> None:
        self._client = client
        self._name = database.name
        self._ticks = Ticks(database["ticks"])
        self._expiry = Expiry(database["ticks"])
        self._history = History(database["btc_price_tracker"])
        self._closed = False

    async def append(self, ticks: list[Tick]) -> int:
        """Keep these ticks, with the journals of most servers unless the URL says otherwise."""
        documents = await asyncio.to_thread(_documents, ticks)  # quotes take their time to encode
        with self._attempt():
            if not documents:
                return 0
            await self._history.appending(min(documents), max(documents))
            return await self._ticks.insert(list(documents.values()))

    async def span(self) -> Span:
        """What is held now."""
        with self._attempt():
            return await self._history.span(self._ticks)

    async def get(self, tick_id: int) -> Tick | None:
        """The tick with this id and its quotes, or None."""
        with self._attempt():
            found = await self._ticks.get(tick_id)
        return None if found is None else whole_tick(found)

    async def newest(self, limit: int) -> list[Tick]:
        """The last `limit` ticks, oldest first, without their quotes."""
        with self._attempt():
            return await self._ticks.newest(limit)

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The oldest `limit` ticks with after < id (≤ until), oldest first, without their quotes."""
        with self._attempt():
            return await self._ticks.page(after, until, limit)

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The same with the quotes of each tick."""
        with self._attempt():
            found = await self._ticks.page_with_quotes(after, until, limit)
        return await asyncio.to_thread(
            lambda: list(map(whole_tick, found))
        )  # quotes take their time to decode

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        """Ids with after < id (≤ until), oldest first: at most `limit`, after skipping `skip`."""
        with self._attempt():
            return await self._ticks.ids(after, until, skip, limit)

    async def candles(self, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
        """At most `limit` candles of `seconds` that begin in [first, last] seconds."""
        with self._attempt():
            return await candles(self._ticks, seconds, first, last, limit)

    async def prune(self, before: int) -> int:
        """Drop ticks with id < before, a few at a time."""
        total = 0
        while gone := await self._prune_some(before):
            total += gone
        return total

    async def describe(self) -> str:
        """Which database, and what drops old prices there."""
        with self._attempt():
            expires = await self._expiry.works()
        how = "which drops old prices by itself as well" if expires else "which drops no old prices by itself"
        return f"MongoDB, database {self._name}, {how}"

    async def close(self) -> None:
        """Let go of every connection."""
        self._closed = True
        await self._client.close()

    async def _prune_some(self, before: int) -> int:
        with self._attempt():
            ids = await self._ticks.oldest(before, STEP)
            if not ids:
                return 0
            gone = await self._ticks.delete(ids[-1])
            await self._history.dropped(ids[-1], await self._ticks.end(1))
            return gone

    @contextmanager
    def _attempt(self) -> Iterator[None]:
        if self._closed:
            raise StoreError("the store is closed")
        with attempt():
            yield


async def open_url(url: str, options: StoreOptions) -> MongoStore:
    """The store in the database that `url` names. Raises StoreError.

    The URL is MongoDB's own (mongodb.com/docs/manual/reference/connection-string), as PyMongo reads it.
    """
    client = _client(url)
    try:
        database = _database(client)
        with attempt():
            await migrate(database)
            await Expiry(database["ticks"]).set(_seconds(options.retention))
            await History(database["btc_price_tracker"]).begin()
    except BaseException:  # also where the opening is cancelled
        await client.close()
        raise
    return MongoStore(client, database)


def _documents(ticks: list[Tick]) -> dict[int, Document]:
    """By id; of two with one id, the first."""
    return {tick.id: document(tick) for tick in reversed(ticks)}


def _client(url: str) -> Client:
    try:
        return AsyncMongoClient(url)
    except OSError as error:
        raise StoreError(f"mongodb: {error.filename}: {error.strerror}; correct STORE_URL") from None
    except (PyMongoError, ValueError, TypeError):
        raise unreadable_url() from None


def _database(client: Client) -> AsyncDatabase[Document]:
    concern = client.write_concern
    durable = WriteConcern("majority", j=True) if concern.is_server_default else concern
    try:
        return client.get_default_database(write_concern=durable)
    except ConfigurationError:
        raise InvalidStoreUrl(
            "STORE_URL can't be used: a database belongs after the host, as in mongodb://localhost/prices"
        ) from None


def _seconds(retention: int | None) -> int | None:
    return None if retention is None else min(retention // 1000 + _SLACK, _LONGEST)
