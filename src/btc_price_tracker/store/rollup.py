"""Quarters of an hour in SQL, for SQLite and PostgreSQL alike, so that long candles needn't read every tick.

The databases keep a row for each, in the same transaction as the ticks it sums up. Candles of that width or a multiple
of it are put together from those rows, finer ones from the ticks themselves: what price.candles.roll_up gives.
"""

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
