"""Candles by aggregation: MongoDB keeps no quarters of an hour, since it couldn't keep them in step."""

from typing import Any

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Status
from btc_price_tracker.store.candle_rows import candle, query_parameters
from btc_price_tracker.store.mongodb.documents import Document
from btc_price_tracker.store.mongodb.ticks import Ticks

_SUMS = {
    "open": {"$first": "$price"},
    "high": {"$max": "$price"},
    "low": {"$min": "$price"},
    "close": {"$last": "$price"},
    "count": {"$sum": 1},
}


async def candles(ticks: Ticks, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
    """At most `limit` candles of `seconds` that begin in [first, last] seconds, oldest first.

    From one tick on, only as far as `limit` candles can reach without a hole; then, behind the hole, again.
    """
    start, end, width, limit = query_parameters(seconds, first, last, limit)
    found: list[Candle] = []
    while len(found) < limit and (begin := await _begin(ticks, start, end, width)) is not None:
        start = min(end, begin + (limit - len(found)) * width)
        found += [_candle(each) for each in await ticks.aggregate(*_stages(begin, start, width))]
    return found


async def _begin(ticks: Ticks, start: int, end: int, width: int) -> int | None:
    """Where the first candle with start ≤ id < end begins."""
    chosen = await ticks.aggregate(*_fresh(start, end), {"$limit": 1}, {"$project": {"_id": True}})
    return int(chosen[0]["_id"]) // width * width if chosen else None


def _fresh(start: int, end: int) -> tuple[dict[str, Any], ...]:
    between = {"$gte": start, "$lt": end}
    return {"$match": {"_id": between, "status": {"$ne": Status.STALE.value}}}, {"$sort": {"_id": 1}}


def _stages(start: int, end: int, width: int) -> tuple[dict[str, Any], ...]:
    begins = {"$subtract": ["$_id", {"$mod": ["$_id", width]}]}
    return *_fresh(start, end), {"$group": {"_id": begins, **_SUMS}}, {"$sort": {"_id": 1}}


def _candle(sums: Document) -> Candle:
    return candle(int(sums[name]) for name in ("_id", *_SUMS))
