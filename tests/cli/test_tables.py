"""Tables with units and time zone, and charts, of prices and candles."""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from btc_price_tracker.cli.plot import EIGHTHS, Point, chart
from btc_price_tracker.cli.tables import Row, write

PRICE = {
    "id": 1_764_000_000_123,
    "timestamp": 1_764_000_000,
    "price": Decimal("69420.25"),
    "status": "single_source",
    "sources": 1,
    "spread": Decimal("3.10"),
    "age": 0,
    "quote_age": None,
    "latency_ms": 7,
    "pair": "BTC/USD",
    "recorded": True,
    "method": "vote3-ped/1",
}
CANDLE = {
    "timestamp": 1_764_000_000,
    "open": Decimal("1.10"),
    "high": Decimal(2),
    "low": Decimal(1),
    "close": Decimal(2),
    "count": 3,
    "final": False,
}


def written(rows: list[Row], form: str = "table") -> list[str]:
    async def pages() -> AsyncIterator[list[Row]]:
        yield []
        for row in rows:
            yield [row]

    to = io.StringIO()
    asyncio.run(write(pages(), form, to))
    return to.getvalue().splitlines()


def test_table_titles_have_units_and_time_zone() -> None:
    title, *lines = written([PRICE, PRICE | {"price": Decimal("1169420.25"), "status": "ok"}])
    assert re.split(r"  +", title) == [
        "time (UTC)",
        "price (USD)",
        "status",
        "sources",
        "spread (USD)",
        "age (s)",
        "quote_age (ms)",
        "latency (ms)",
        "recorded",
    ]
    assert re.split(r"  +", lines[0]) == [
        "2025-11-24 16:00:00", "69,420.25", "single_source", "1", "3.10", "0", "–", "7", "true"
    ]  # fmt: skip
    assert len(lines[1]) == len(title)


def test_table_of_candles() -> None:
    title, line = written([CANDLE])
    assert title.split("  ")[0] == "time (UTC)"
    assert re.findall(r"(\w+) \(USD\)", title) == ["open", "high", "low", "close"]
    assert line.endswith("false")


@pytest.mark.parametrize("form", ["table", "plot"])
def test_empty_history_is_reported(form: str) -> None:
    assert written([], form) == ["no prices"]


def heights(lines: list[str], height: int, width: int) -> list[int]:
    """The columns of a chart, in eighths of a line."""
    rows = [line[:width].ljust(width) for line in lines[:height]]
    return [sum(EIGHTHS.index(row[n]) for row in rows) for n in range(width)]


def test_a_chart_spans_the_price_range() -> None:
    points = [Point(1_764_000_000 + 10 * n, 100 + n) for n in range(8)]
    lines = chart(points, 80, height=4)
    assert heights(lines, 4, 8) == [1, 5, 10, 14, 19, 23, 28, 32]
    assert [line[8:].strip() for line in lines[:4]] == ["107.00", "103.50", "", "100.00"]
    assert lines[4] == "USD, 2025-11-24 16:00:00 to 2025-11-24 16:01:10 UTC"


def test_a_chart_fits_the_terminal() -> None:
    points = [Point(10 * n, n % 2) for n in range(1000)]
    lines = chart(points, 50, height=2)
    assert heights(lines, 2, 50) == [16] * 50
    assert max(map(len, lines[:2])) == 50 + len(f"{0:13,.2f}")


def test_gaps_stay_empty_despite_jitter() -> None:
    times = [0, 11, 19, 31, 40, 49, 150, 160, 171, 180]
    shown = heights(chart([Point(at, 5) for at in times], 19, height=2), 2, 10)
    assert [n for n, height in enumerate(shown) if height == 0] == [5, 6, 7]


@pytest.mark.parametrize("prices", [[5], [5, 5], [5] * 100])
def test_constant_prices_are_drawn_in_the_middle(prices: list[int]) -> None:
    points = [Point(n, price) for n, price in enumerate(prices)]
    assert set(heights(chart(points, 80, height=4), 4, min(len(points), 66))) == {16}


def test_a_plot_shows_prices_or_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    rows: list[dict[str, Any]] = [PRICE, CANDLE, {"timestamp": 1_764_000_000}]
    lines = written(rows, "plot")
    assert "69,420.25" in lines[0]
    assert "2.00" in lines[-2]
