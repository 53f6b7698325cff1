"""The record of appended and deleted ids, from which a store detects ticks that the database expired."""

from btc_price_tracker.store import Span
from btc_price_tracker.store.integers import MAX_INTEGER
from btc_price_tracker.store.mongodb.documents import Document
from btc_price_tracker.store.mongodb.ticks import Collection, Ticks

_OURS = {"_id": "history"}
_EMPTY = {"oldest": MAX_INTEGER, "newest": 0, "dropped": 0}


class History:
    """One document: the oldest id appended since the last prune(), the newest ever, and how far ticks were deleted.

    If the oldest stored id is above the oldest appended one, the TTL index has expired ticks. If the document is
    deleted, its information is lost, and the next record starts a new one.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def create(self) -> None:
        """Create the document unless it exists."""
        await self._collection.update_one(_OURS, {"$setOnInsert": _EMPTY}, upsert=True)

    async def record_append(self, oldest: int, newest: int) -> None:
        """Record ids before their ticks are stored, so that none is missing after a crash in between."""
        update = {"$min": {"oldest": oldest}, "$max": {"newest": newest}}
        await self._collection.update_one(_OURS, update, upsert=True)

    async def record_dropped(self, last: int, first: int | None) -> None:
        """Record that ticks up to `last` were deleted, and the first id that remains."""
        oldest = MAX_INTEGER if first is None else first
        update = {"$max": {"dropped": last}, "$set": {"oldest": oldest}}
        await self._collection.update_one(_OURS, update, upsert=True)

    async def span(self, ticks: Ticks) -> Span:
        """The range of ids that is stored now. A concurrent append or prune may be seen in part."""
        history = {**_EMPTY, **(await self._collection.find_one(_OURS) or {})}
        first, last = await ticks.end(1), await ticks.end(-1)
        return Span(first or 0, last or 0, _dropped(history, first))


def _dropped(history: Document, first: int | None) -> int:
    """The id up to which ticks are deleted: as recorded or, if some expired, up to the first that remains."""
    recorded, oldest = int(history["dropped"]), history["oldest"]
    if oldest >= (MAX_INTEGER if first is None else first):
        return recorded
    return max(recorded, int(history["newest"]) if first is None else first - 1)
