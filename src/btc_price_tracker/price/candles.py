"""Ticks rolled up into candles. Pure: stores that roll up by themselves must give the same."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from btc_price_tracker.price.model import Status, Tick

Interval = Literal["1m", "5m", "15m", "1h", "4h", "1d"]
# In seconds.
INTERVALS: Mapping[Interval, int] = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400}


class Candle(Struct, frozen=True):
    """The prices published in timestamp ≤ t < timestamp + interval, all in seconds since the epoch.

    A stale tick is no new price and counts nowhere: an outage leaves a hole.
    """

    timestamp: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    count: int


def roll_up(ticks: Iterable[Tick], seconds: int) -> Iterator[Candle]:
    """Candles of so many seconds, aligned to the epoch, from ticks in the order of their ids; holes stay holes."""
    candle: Candle | None = None
    for tick in ticks:
        if tick.status is Status.STALE:
            continue
        start = tick.timestamp // seconds * seconds
        if candle is not None and candle.timestamp == start:
            candle = _extended(candle, tick.price)
            continue
        if candle is not None:
            yield candle
        candle = Candle(start, tick.price, tick.price, tick.price, tick.price, 1)
    if candle is not None:
        yield candle


def _extended(candle: Candle, price: Decimal) -> Candle:
    return Candle(
        candle.timestamp,
        candle.open,
        max(candle.high, price),
        min(candle.low, price),
        price,
        candle.count + 1,
    )
