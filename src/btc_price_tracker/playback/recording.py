"""A recorded table of minute closes as a market, at any speed, for ever.

History passes `speed` times as fast as wall time and starts again at the end of the table. A moment of
history and the wall time at which it is played map to each other: `elapsed = (wall - started) * speed`.
"""

import csv
import gzip
from collections.abc import Mapping
from decimal import Decimal
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import TextIOWrapper

from msgspec import Struct

from btc_price_tracker.playback.market import TETHER, Ticker, ticker
from btc_price_tracker.price.model import CENT, Quote

MINUTE = 60_000  # ms
COINGECKO = "coingecko"
COINGECKO_DELAY = 60_000  # ms of history: its public cache holds an answer for a minute
COLUMNS: Mapping[str, str] = {
    "coinbase": "coinbase_btcusd",
    "kraken": "kraken_btcusd",
    "binanceus": "binanceus_btcusd",
    TETHER: "kraken_usdtusd",
}


class Closes(Struct, frozen=True):
    """Minute closes by market name, from `start` (ms since the epoch) on; None is a minute of silence."""

    start: int
    prices: Mapping[str, tuple[Decimal | None, ...]]

    @property
    def minutes(self) -> int:
        """How many minutes the table holds."""
        return len(next(iter(self.prices.values())))


def load(table: Traversable, columns: Mapping[str, str] = COLUMNS) -> Closes:
    """Read a gzipped CSV: `minute_epoch` (s), one row a minute without holes, and a column per market name.

    `columns`: market name → column. Raises ValueError on a table of another shape.
    """
    with table.open("rb") as packed, gzip.open(packed) as raw:
        rows = list(csv.DictReader(TextIOWrapper(raw, encoding="ascii")))
    minutes = [int(row["minute_epoch"]) for row in rows]
    missing = set(columns.values()) - set(rows[0] if rows else ())
    if missing or minutes != list(range(minutes[0], minutes[0] + 60 * len(rows), 60)):
        raise ValueError(f"not a table of every minute with the columns {', '.join(columns.values())}")
    closes = {name: tuple(_price(row[column]) for row in rows) for name, column in columns.items()}
    return Closes(minutes[0] * 1000, closes)


def packaged() -> Closes:
    """The 24 hours that ship with the package: from 2023-03-04 12:30 UTC, with an outage of Coinbase."""
    return load(files(__package__) / "data" / "closes_1m_2023-03-04.csv.gz")


class Recording:
    """A market that plays minute closes: a close is the venue's price throughout its minute."""

    def __init__(self, closes: Closes, started: int, speed: float = 60) -> None:
        """Play from `started` (wall time, ms) on, `speed` seconds of history a second."""
        self._closes = closes
        self._started = started
        self._speed = speed

    def history(self, now: int) -> int:
        """The moment of history that is played at `now`, both in ms since the epoch."""
        return self._closes.start + self._elapsed(now) % (self._closes.minutes * MINUTE)

    def ticker(self, name: str, now: int) -> Ticker | None:
        """The venue's ticker at `now`; None while it is silent, and for venues that weren't recorded."""
        if name == COINGECKO:
            return self._coingecko(now)
        price = self._close(name, self._elapsed(now))
        return None if price is None else ticker(Quote(price), now)

    def _coingecko(self, now: int) -> Ticker | None:
        """The mean of the venues as it was one delay ago, but never before the playback started."""
        elapsed = self._elapsed(now)
        then = max(elapsed - COINGECKO_DELAY, min(elapsed, 0))
        closes = [self._close(name, then) for name in self._closes.prices if name != TETHER]
        known = [close for close in closes if close is not None]
        if not known:
            return None
        mean = (sum(known, Decimal()) / len(known)).quantize(CENT)
        return ticker(Quote(mean), self._wall(then))

    def _close(self, name: str, elapsed: int) -> Decimal | None:
        prices = self._closes.prices.get(name)
        return prices[elapsed // MINUTE % len(prices)] if prices else None

    def _elapsed(self, now: int) -> int:
        """Milliseconds of history played at `now`, over all rounds."""
        return int((now - self._started) * self._speed)

    def _wall(self, elapsed: int) -> int:
        """The wall time (ms) at which this much history was played."""
        return self._started + round(elapsed / self._speed)


def _price(cell: str) -> Decimal | None:
    return Decimal(cell) if cell else None
