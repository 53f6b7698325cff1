"""Candles in terms of a database: the ids that a query spans, its rows, and sums of quarter-hours in SQL.

SQLite and PostgreSQL keep one row per quarter-hour, written in the transaction that stores its ticks, so that long
candles don't read every tick. Candles of that width or a multiple of it are built from those rows, narrower ones from
the ticks themselves. Either way the result equals that of price.candles.roll_up.
"""

from collections.abc import Iterable

from btc_price_tracker.price.candles import Candle
from btc_price_tracker.store.integers import clamped, dollars

QUARTER = 900  # seconds; 15m, 1h, 4h and 1d are multiples of it
QUARTER_MS = QUARTER * 1000

# A row is (start, first, last, open, high, low, close, count): its first ms, the ids of the ticks that opened
# and closed it, cents. New ticks are merged into the row of their quarter-hour in whatever order they arrive.
MERGE = """
    ON CONFLICT (start) DO UPDATE SET
        open = CASE WHEN excluded.first < quarter_hours.first THEN excluded.open ELSE quarter_hours.open END,
        close = CASE WHEN excluded.last > quarter_hours.last THEN excluded.close ELSE quarter_hours.close END,
        first = CASE WHEN excluded.first < quarter_hours.first THEN excluded.first ELSE quarter_hours.first END,
        last = CASE WHEN excluded.last > quarter_hours.last THEN excluded.last ELSE quarter_hours.last END,
        high = CASE WHEN excluded.high > quarter_hours.high THEN excluded.high ELSE quarter_hours.high END,
        low = CASE WHEN excluded.low < quarter_hours.low THEN excluded.low ELSE quarter_hours.low END,
        count = quarter_hours.count + excluded.count"""

# The quarter-hours as pieces of candles, each at one id.
QUARTERS = "SELECT start AS at, open, high, low, close, count FROM quarter_hours"


def query_parameters(seconds: int, first: int, last: int, limit: int) -> tuple[int, int, int, int]:
    """The half-open range of ids of the candles that begin in [first, last] seconds, their width in ms, the limit."""
    start = -(-first // seconds) * seconds
    end = (last // seconds + 1) * seconds
    return clamped(start * 1000), clamped(end * 1000), seconds * 1000, clamped(limit)


def candle(row: Iterable[int]) -> Candle:
    """The candle of a row (start in ms, open, high, low, close in cents, count)."""
    start, opening, high, low, closing, count = row
    return Candle(start // 1000, dollars(opening), dollars(high), dollars(low), dollars(closing), count)
