"""The schema version of the database."""

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store.mongodb.documents import Document

VERSION = 1  # the first, so there are no migrations yet

_OURS = {"_id": "schema"}


async def migrate(database: AsyncDatabase[Document]) -> None:
    """Record our version in an empty database. Raises StoreError where a newer version has created it."""
    collection = database["btc_price_tracker"]
    initial: dict[str, Any] = {"$setOnInsert": {"version": VERSION}}
    await collection.update_one(_OURS, initial, upsert=True)
    found = await collection.find_one(_OURS) or {}
    if found["version"] > VERSION:
        raise StoreError(
            f"mongodb: the collections were created by a newer version (schema {found['version']}, this version "
            f"supports {VERSION}); install that version, or name another database in STORE_URL"
        )
