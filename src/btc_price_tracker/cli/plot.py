"""Prices as a chart of block characters, as wide as the terminal."""

import shutil
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple, TextIO

HEIGHT = 12  # lines
EIGHTHS = " ▁▂▃▄▅▆▇█"
MARGIN = 14  # columns right of the chart, for the labels
GAP = 3  # times the median distance of two prices: a longer distance is left empty


class Point(NamedTuple):
    """A price at a time (seconds since the epoch)."""

    timestamp: int
    price: float


async def plot(pages: AsyncIterator[list[dict[str, Any]]], to: TextIO) -> None:
    """Draw the prices, or the closes of candles, oldest first."""
    points = [point for page in [page async for page in pages] for row in page if (point := _point(row))]
    if not points:
        to.write("no prices\n")
        return
    width = max(shutil.get_terminal_size().columns - MARGIN, 10)
    to.writelines(f"{line}\n" for line in chart(points, width))


def chart(points: Sequence[Point], width: int, height: int = HEIGHT) -> list[str]:
    """The lines of a chart of at most `width` columns: price labels at the right, the time range below."""
    low, high = min(point.price for point in points), max(point.price for point in points)
    levels = [_level(price, low, high, 8 * height) for price in _columns(points, min(width, len(points)))]
    labels = {height - 1: high, height // 2: (low + high) / 2, 0: low}
    lines = []
    for row in reversed(range(height)):
        line = "".join(EIGHTHS[min(max(level - 8 * row, 0), 8)] for level in levels)
        lines.append(f"{line} {labels[row]:>{MARGIN - 2},.2f}" if row in labels else line.rstrip())
    first, last = (
        datetime.fromtimestamp(point.timestamp, UTC).isoformat(" ") for point in (points[0], points[-1])
    )
    return [*lines, f"USD, {first[:19]} to {last[:19]} UTC"]


def _columns(points: Sequence[Point], count: int) -> list[float | None]:
    """The last price of each part of the time range, carried forward over missing prices; None in a gap."""
    start = points[0].timestamp
    span = max(points[-1].timestamp - start, 1)
    longest = GAP * _median_distance(points)
    newest: list[Point | None] = [None] * count
    for point in points:
        newest[min((point.timestamp - start) * count // span, count - 1)] = point
    columns: list[float | None] = []
    last = points[0]
    for n, point_or_none in enumerate(newest):
        last = point_or_none or last
        begins = start + span * n / count
        columns.append(last.price if begins - last.timestamp <= longest else None)
    return columns


def _median_distance(points: Sequence[Point]) -> float:
    """Seconds between two prices, the median."""
    return (
        median(after.timestamp - before.timestamp for before, after in pairwise(points)) if points[1:] else 0
    )


def _level(price: float | None, low: float, high: float, top: int) -> int:
    """The height of a column in eighths of a line; at least one for a price."""
    if price is None:
        return 0
    return top // 2 if low == high else 1 + round((price - low) / (high - low) * (top - 1))


def _point(row: dict[str, Any]) -> Point | None:
    price = row.get("price", row.get("close"))
    return None if price is None else Point(row["timestamp"], float(price))
