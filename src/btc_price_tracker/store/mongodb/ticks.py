"""The collection of ticks."""

from typing import Any, TypeAlias

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from btc_price_tracker.price.model import Tick
from btc_price_tracker.store.integers import clamped
from btc_price_tracker.store.mongodb.documents import WITH_QUOTES, WITHOUT_QUOTES, Document, tick
from btc_price_tracker.store.mongodb.errors import only_duplicates

Collection: TypeAlias = AsyncCollection[Document]


class Ticks:
    """The queries of the collection."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def insert(self, documents: list[Document]) -> int:
        """Insert the documents whose ids are new; returns their number."""
        try:
            result = await self._collection.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if not only_duplicates(error):
                raise
            return int((error.details or {}).get("nInserted", 0))
        return len(result.inserted_ids)

    async def end(self, direction: int) -> int | None:
        """The first id for 1, the last for -1."""
        found = await self._collection.find_one({}, {"_id": True}, sort=[("_id", direction)])
        return None if found is None else int(found["_id"])

    async def get(self, tick_id: int) -> Document | None:
        """The document with this id."""
        return await self._collection.find_one({"_id": clamped(tick_id)})

    async def newest(self, limit: int) -> list[Tick]:
        """The last `limit` ticks, oldest first."""
        if limit < 1:  # to MongoDB, 0 means all
            return []
        cursor = self._collection.find({}, WITHOUT_QUOTES).sort("_id", -1).limit(limit)
        return [tick(document) for document in await cursor.to_list()][::-1]

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """At most `limit` ticks with after < id (≤ until), oldest first."""
        return [tick(document) for document in await self._page(after, until, limit, WITHOUT_QUOTES)]

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Document]:
        """The documents of the same ticks with their quotes."""
        return await self._page(after, until, limit, WITH_QUOTES)

    async def _page(
        self, after: int, until: int | None, limit: int, fields: dict[str, bool]
    ) -> list[Document]:
        cursor = self._collection.find(_between(after, until), fields).sort("_id", 1)
        return await cursor.limit(limit).to_list()

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        """At most `limit` ids with after < id (≤ until), after skipping `skip`."""
        cursor = self._collection.find(_between(after, until), {"_id": True}).sort("_id", 1)
        return [int(found["_id"]) for found in await cursor.skip(skip).limit(limit).to_list()]

    async def oldest(self, before: int, limit: int) -> list[int]:
        """At most `limit` of the lowest ids < before."""
        cursor = self._collection.find({"_id": {"$lt": clamped(before)}}, {"_id": True})
        return [int(found["_id"]) for found in await cursor.sort("_id", 1).limit(limit).to_list()]

    async def delete(self, last: int) -> int:
        """Delete ticks with id ≤ last; returns their number."""
        return (await self._collection.delete_many({"_id": {"$lte": last}})).deleted_count

    async def aggregate(self, *stages: dict[str, Any]) -> list[Document]:
        """The result of an aggregation pipeline."""
        cursor = await self._collection.aggregate(list(stages))
        return await cursor.to_list()


def _between(after: int, until: int | None) -> Document:
    """The filter for after < id (≤ until)."""
    return {"_id": {"$gt": clamped(after)} | ({} if until is None else {"$lte": clamped(until)})}
