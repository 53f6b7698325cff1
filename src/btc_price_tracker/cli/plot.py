"""Prices as a chart of characters, as wide as the terminal."""

import shutil
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple, TextIO

HEIGHT = 12  # lines
EIGHTHS = " ▁▂▃▄▅▆▇█"
MARGIN = 14  # characters right of the chart, for the amounts
HOLE = 3  # times the usual time between two prices: a longer one stays empty


class Point(NamedTuple):
    """A price at a moment (seconds since the epoch)."""

    timestamp: int
    price: float


async def plot(pages: AsyncIterator[list[dict[str, Any]]], to: TextIO) -> None:
    """Draw the prices, or the closes of the candles, oldest first."""
    points = [point for page in [page async for page in pages] for row in page if (point := _point(row))]
    if not points:
        to.write("no prices\n")
        return
    width = max(shutil.get_terminal_size().columns - MARGIN, 10)
    to.writelines(f"{line}\n" for line in chart(points, width))


def chart(points: Sequence[Point], width: int, height: int = HEIGHT) -> list[str]:
    """The lines of a chart of at most so many columns: amounts at the right, the time that it spans below."""
    low, high = min(point.price for point in points), max(point.price for point in points)
    steps = [_steps(price, low, high, 8 * height) for price in _columns(points, min(width, len(points)))]
    labels = {height - 1: high, height // 2: (low + high) / 2, 0: low}
    lines = []
    for row in reversed(range(height)):
        line = "".join(EIGHTHS[min(max(step - 8 * row, 0), 8)] for step in steps)
        lines.append(f"{line} {labels[row]:>{MARGIN - 2},.2f}" if row in labels else line.rstrip())
    first, last = (
        datetime.fromtimestamp(point.timestamp, UTC).isoformat(" ") for point in (points[0], points[-1])
    )
    return [*lines, f"USD, {first[:19]} to {last[:19]} UTC"]


def _columns(points: Sequence[Point], count: int) -> list[float | None]:
    """The last price of each part of the time, that before it where none was due, None in a hole."""
    start = points[0].timestamp
    span = max(points[-1].timestamp - start, 1)
    patience = HOLE * _usual_step(points)
    last: list[Point | None] = [None] * count
    for point in points:
        last[min((point.timestamp - start) * count // span, count - 1)] = point
    columns: list[float | None] = []
    known = points[0]
    for n, newest in enumerate(last):
        known = newest or known
        begins = start + span * n / count
        columns.append(known.price if begins - known.timestamp <= patience else None)
    return columns


def _usual_step(points: Sequence[Point]) -> float:
    """Seconds between two prices, as most are apart."""
    return (
        median(after.timestamp - before.timestamp for before, after in pairwise(points)) if points[1:] else 0
    )


def _steps(price: float | None, low: float, high: float, most: int) -> int:
    """The height of a column in eighths of a line, at least one where there is a price."""
    if price is None:
        return 0
    return most // 2 if low == high else 1 + round((price - low) / (high - low) * (most - 1))


def _point(row: dict[str, Any]) -> Point | None:
    price = row.get("price", row.get("close"))
    return None if price is None else Point(row["timestamp"], float(price))
