"""Prices or candles as a table, as a chart, as CSV or as JSON."""

import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TextIO

import msgspec

from btc_price_tracker.cli.plot import plot

Row = dict[str, Any]

_UNITS = {"age": "s", "quote_age": "ms"} | dict.fromkeys(
    ("price", "spread", "open", "high", "low", "close"), "USD"
)
_HIDDEN = ("id", "timestamp", "pair", "method")  # in a table: constant, or shown in another form
_TIME = "time (UTC)         "  # as wide as a time

_encoder = msgspec.json.Encoder(decimal_format="number")


async def write(pages: AsyncIterator[list[Row]], form: str, to: TextIO) -> None:
    """Write rows as a `table`, as `csv` with a header, as one `json` array, or as a `plot`."""
    writers = {"table": _write_table, "csv": _write_csv, "json": _write_json, "plot": plot}
    await writers[form](pages, to)


async def _write_json(pages: AsyncIterator[list[Row]], to: TextIO) -> None:
    separator = "["
    async for page in pages:
        for row in page:
            to.write(f"{separator}{_encoder.encode(row).decode()}")
            separator = ",\n"
    to.write("[]\n" if separator == "[" else "]\n")


async def _write_csv(pages: AsyncIterator[list[Row]], to: TextIO) -> None:
    """Write CSV with the columns of the first row."""
    writer = csv.writer(to, lineterminator="\n")
    names: list[str] = []
    async for page in pages:
        if page and not names:
            names = list(page[0])
            writer.writerow(names)
        writer.writerows([_csv_cell(row.get(name)) for name in names] for row in page)


def _csv_cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


async def _write_table(pages: AsyncIterator[list[Row]], to: TextIO) -> None:
    """Write the time, then the columns of the first row, each as wide as its title."""
    titles: dict[str, str] = {}
    async for page in pages:
        if page and not titles:
            titles = {name: _title(name, value) for name, value in page[0].items() if name not in _HIDDEN}
            to.write(f"{_TIME}  {'  '.join(titles.values())}\n")
        to.writelines(_line(row, titles) for row in page)
    if not titles:
        to.write("no prices\n")


def _title(name: str, value: object) -> str:
    """The name of a column with its unit, as wide as its cells."""
    plain = name.removesuffix("_ms")
    unit = "ms" if plain != name else _UNITS.get(name)
    title = f"{plain} ({unit})" if unit else plain
    return f"{title:>12}" if isinstance(value, Decimal) else f"{title:>6}"


def _line(row: Row, titles: dict[str, str]) -> str:
    time = datetime.fromtimestamp(row["timestamp"], UTC).isoformat(sep=" ")[:19]
    cells = [f"{_table_cell(row.get(name)):>{len(title)}}" for name, title in titles.items()]
    return f"{time}  {'  '.join(cells)}\n"


def _table_cell(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:,}"
    return "–" if value is None else str(_csv_cell(value))
