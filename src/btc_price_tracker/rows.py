"""Prices or candles as a table, as CSV or as JSON."""

import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TextIO

import msgspec

Row = dict[str, Any]

_encoder = msgspec.json.Encoder(decimal_format="number")


async def write(pages: AsyncIterator[list[Row]], form: str, to: TextIO) -> None:
    """Write rows as a `table`, as `csv` with a header, or as one `json` array."""
    writers = {"table": _write_table, "csv": _write_csv, "json": _write_json}
    await writers[form](pages, to)


async def _write_json(pages: AsyncIterator[list[Row]], to: TextIO) -> None:
    opening = "["
    async for page in pages:
        for row in page:
            to.write(f"{opening}{_encoder.encode(row).decode()}")
            opening = ",\n"
    to.write("[]\n" if opening == "[" else "]\n")


async def _write_csv(pages: AsyncIterator[list[Row]], to: TextIO) -> None:
    """The columns are those of the first row."""
    writer = csv.writer(to, lineterminator="\n")
    names: list[str] = []
    async for page in pages:
        if page and not names:
            names = list(page[0])
            writer.writerow(names)
        writer.writerows([_cell(row.get(name)) for name in names] for row in page)


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


async def _write_table(pages: AsyncIterator[list[Row]], to: TextIO) -> None:
    async for page in pages:
        to.writelines(map(_table_line, page))


def _table_line(row: Row) -> str:
    """The moment, the amounts in columns, then the rest."""
    time = datetime.fromtimestamp(row["timestamp"], UTC).isoformat(sep=" ")[:19]
    shown = [value for name, value in row.items() if name not in ("id", "timestamp", "method")]
    cells = [f"{value:>12,}" if isinstance(value, Decimal) else f"{value!s:>6}" for value in shown]
    return f"{time}  {'  '.join(cells)}\n"
