"""A question for candles in terms of ids, and a row of the answer as a candle: the same for every store."""

from collections.abc import Iterable

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.store.amounts import dollars
from btc_price_tracker.store.bounds import clamped


def query_parameters(seconds: int, first: int, last: int, limit: int) -> tuple[int, int, int, int]:
    """The ids between which candles lie that begin in [first, last] seconds, their width in ms, and how many."""
    start = -(-first // seconds) * seconds
    end = (last // seconds + 1) * seconds
    return clamped(start * 1000), clamped(end * 1000), seconds * 1000, clamped(limit)


def candle(row: Iterable[int]) -> Candle:
    """A row has the first ms, opening, highest, lowest and closing price in cents, and how many there were."""
    start, opening, high, low, closing, count = row
    return Candle(start // 1000, dollars(opening), dollars(high), dollars(low), dollars(closing), count)
