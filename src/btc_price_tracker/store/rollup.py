"""Candles in SQL, for SQLite and PostgreSQL alike: what price.candles.roll_up gives, without reading every tick.

The databases keep a row for each quarter of an hour, in the same transaction as the ticks it sums up. Candles
of that width or a multiple of it are put together from those rows, finer ones from the ticks themselves.
"""

from collections.abc import Sequence

QUARTER = 900  # seconds; 15m, 1h, 4h and 1d are multiples of it
QUARTER_MS = QUARTER * 1000

# A row is (start, first, last, open, high, low, close, count): its first ms, the ids of the ticks that opened
# and closed it, cents.
# This is how new ticks join the row that their quarter has already, in whatever order they come.
MERGE = """
    ON CONFLICT (start) DO UPDATE SET
        open = CASE WHEN excluded.first < quarter_hours.first THEN excluded.open ELSE quarter_hours.open END,
        close = CASE WHEN excluded.last > quarter_hours.last THEN excluded.close ELSE quarter_hours.close END,
        first = CASE WHEN excluded.first < quarter_hours.first THEN excluded.first ELSE quarter_hours.first END,
        last = CASE WHEN excluded.last > quarter_hours.last THEN excluded.last ELSE quarter_hours.last END,
        high = CASE WHEN excluded.high > quarter_hours.high THEN excluded.high ELSE quarter_hours.high END,
        low = CASE WHEN excluded.low < quarter_hours.low THEN excluded.low ELSE quarter_hours.low END,
        count = quarter_hours.count + excluded.count"""

# What candles are put together from: pieces that each lie at one id.
QUARTERS = "SELECT start AS at, open, high, low, close, count FROM quarter_hours"

# From one candle that has pieces to the next, so that holes cost nothing and no more is read than is given.
_CANDLES = """
    WITH RECURSIVE candles (start, number) AS (
        SELECT min(at) / {width} * {width}, 1 FROM ({pieces}) AS piece WHERE at >= {first} AND at < {end}
        UNION ALL
        SELECT (
            SELECT min(at) / {width} * {width} FROM ({pieces}) AS piece
            WHERE at >= candles.start + {width} AND at < {end}
        ), number + 1
        FROM candles WHERE start IS NOT NULL AND number < {limit}
    ), sums AS (
        SELECT start, min(at) AS first, max(at) AS last, max(high) AS high, min(low) AS low, sum(count) AS count
        FROM candles JOIN ({pieces}) AS piece ON at >= start AND at < start + {width}
        GROUP BY start
    )
    SELECT start, opening.open, sums.high, sums.low, closing.close, CAST(sums.count AS BIGINT)
    FROM sums
    JOIN ({pieces}) AS opening ON opening.at = sums.first
    JOIN ({pieces}) AS closing ON closing.at = sums.last
    ORDER BY start LIMIT {limit}"""


def candle_query(pieces: str, parameters: Sequence[str]) -> str:
    """The query whose rows candle() reads; `parameters` are the placeholders of what query_parameters() gives."""
    first, end, width, limit = parameters
    return _CANDLES.format(pieces=pieces, first=first, end=end, width=width, limit=limit)
