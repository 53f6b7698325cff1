"""What was ever kept and dropped: with it, a store knows of ticks that the database expired by itself."""

from btc_price_tracker.store import Span
from btc_price_tracker.store.integers import MAX_INTEGER
from btc_price_tracker.store.mongodb.documents import Document
from btc_price_tracker.store.mongodb.ticks import Collection, Ticks

_OURS = {"_id": "history"}
_EMPTY = {"oldest": MAX_INTEGER, "newest": 0, "dropped": 0}


class History:
    """One document: the oldest id appended since prune() last ran, the newest ever, and how far it was dropped.

    Where the oldest id that is held is above the oldest that was appended, the TTL index has been at work. Should
    somebody drop the document, what it knew is lost, and a new one begins with what is noted next.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def begin(self) -> None:
        """Make the document unless it is there."""
        await self._collection.update_one(_OURS, {"$setOnInsert": _EMPTY}, upsert=True)

    async def appending(self, oldest: int, newest: int) -> None:
        """To be noted before ticks are kept: should it stop in between, nothing is missed later."""
        noted = {"$min": {"oldest": oldest}, "$max": {"newest": newest}}
        await self._collection.update_one(_OURS, noted, upsert=True)

    async def dropped(self, last: int, left: int | None) -> None:
        """Note that ticks up to `last` are gone and which is the oldest that is left."""
        oldest = MAX_INTEGER if left is None else left
        noted = {"$max": {"dropped": last}, "$set": {"oldest": oldest}}
        await self._collection.update_one(_OURS, noted, upsert=True)

    async def span(self, ticks: Ticks) -> Span:
        """What is held now. An append or a prune at the same time may be seen in part."""
        history = {**_EMPTY, **(await self._collection.find_one(_OURS) or {})}
        first, last = await ticks.end(1), await ticks.end(-1)
        return Span(first or 0, last or 0, _dropped(history, first))


def _dropped(history: Document, first: int | None) -> int:
    """How far ticks are gone: as noted, or, where the database expired some, up to the first that is left."""
    noted, oldest = int(history["dropped"]), history["oldest"]
    if oldest >= (MAX_INTEGER if first is None else first):
        return noted
    return max(noted, int(history["newest"]) if first is None else first - 1)
