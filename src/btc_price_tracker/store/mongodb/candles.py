"""Candles by aggregation: without transactions, MongoDB couldn't keep quarter-hour rows consistent with the ticks."""

from typing import Any, NamedTuple

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Status
from btc_price_tracker.store.candle_steps import candles_in_steps
from btc_price_tracker.store.mongodb.ticks import Ticks

_SUMS = {
    "open": {"$first": "$price"},
    "high": {"$max": "$price"},
    "low": {"$min": "$price"},
    "close": {"$last": "$price"},
    "count": {"$sum": 1},
}


class _Pieces(NamedTuple):
    """The ticks themselves as pieces."""

    ticks: Ticks

    @property
    def longest(self) -> int:
        return 28 * 86_400_000  # 240,000 prices at one every 10 s

    async def first(self, start: int, end: int) -> int | None:
        found = await self.ticks.aggregate(*_fresh(start, end), {"$limit": 1}, {"$project": {"_id": True}})
        return int(found[0]["_id"]) if found else None

    async def sums(self, start: int, end: int, width: int, limit: int) -> list[tuple[int, ...]]:
        begins = {"$subtract": ["$_id", {"$mod": ["$_id", width]}]}
        sums = {"$group": {"_id": begins, **_SUMS}}, {"$sort": {"_id": 1}}, {"$limit": limit}
        found = await self.ticks.aggregate(*_fresh(start, end), *sums)
        return [tuple(int(candle[name]) for name in ("_id", *_SUMS)) for candle in found]


async def candles(ticks: Ticks, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
    """At most `limit` candles of `seconds` that begin in [first, last] seconds, oldest first."""
    return await candles_in_steps(_Pieces(ticks), seconds, first, last, limit)


def _fresh(start: int, end: int) -> tuple[dict[str, Any], ...]:
    between = {"$gte": start, "$lt": end}
    return {"$match": {"_id": between, "status": {"$ne": Status.STALE.value}}}, {"$sort": {"_id": 1}}
