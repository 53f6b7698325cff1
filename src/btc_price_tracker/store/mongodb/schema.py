"""The version of what is in the database, and the way from each to the next."""

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store.mongodb.documents import Document

VERSION = 1  # the first: there is no way from an older one yet

_OURS = {"_id": "schema"}


async def migrate(database: AsyncDatabase[Document]) -> None:
    """Note our version in an empty database. Raises StoreError where a newer one has been at work."""
    collection = database["btc_price_tracker"]
    begin: dict[str, Any] = {"$setOnInsert": {"version": VERSION}}
    await collection.update_one(_OURS, begin, upsert=True)
    found = await collection.find_one(_OURS) or {}
    if found["version"] > VERSION:
        raise StoreError(
            f"mongodb: a newer version made the collections (schema {found['version']}, this one knows "
            f"{VERSION}); install that version, or name another database in STORE_URL"
        )
