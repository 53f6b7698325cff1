"""Ticks as CSV (RFC 4180) and back, without their quotes."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from operator import itemgetter

from btc_price_tracker.errors import RecordError
from btc_price_tracker.price.model import CENT, PAIR, Status, Tick
from btc_price_tracker.store.records import METHOD, Pattern, decoded, parse_records

# As in GET /prices.
COLUMNS = (
    "id",
    "timestamp",
    "price",
    "status",
    "sources",
    "spread",
    "age",
    "quote_age",
    "method",
    "pair",
    "recorded",
)

_NUMBER = Pattern(r"[0-9]{1,9}", "whole number of at most nine digits")
_DOLLARS = Pattern(r"[0-9]{1,12}(?:\.[0-9]{1,2})?", "number of dollars and cents")

# The columns that a tick is read from; the id contains the timestamp.
PATTERNS = {
    "id": Pattern(r"[0-9]{1,19}", "whole number with all its digits"),
    "price": _DOLLARS,
    "status": Pattern("|".join(Status), "status"),
    "sources": _NUMBER,
    "spread": _DOLLARS,
    "age": _NUMBER,
    "method": METHOD,
}
# Columns that older files lack.
NEWER_PATTERNS = {
    "quote_age": Pattern(r"[0-9]{1,12}", "whole number of milliseconds"),
    "recorded": Pattern("true|false", "boolean: true or false"),
}
_SEPARATOR = "\x1f"  # matches none of the patterns, so that a joined record is validated in one match


def csv_line(tick: Tick) -> str:
    """One line under a header of COLUMNS."""
    amounts = f"{tick.price},{tick.status},{tick.sources},{tick.spread},{tick.age},{tick.quote_age}"
    return f"{tick.id},{tick.timestamp},{amounts},{tick.method},{PAIR},{str(tick.recorded).lower()}\n"


def read_csv(lines: Iterable[str], last: int) -> Iterator[Tick]:
    """Parse a CSV file with its columns in any order; other columns and blank lines are ignored.

    Raises RecordError as `parse_records`.
    """
    rows = _rows(lines)
    parse = _row_parser(next(rows, (1, []))[1])
    return parse_records(rows, parse, last)


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV file, each with the number of its last line."""
    reader = csv.reader(decoded(lines), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise RecordError(f"malformed CSV ({error})", reader.line_num) from None


def _row_parser(header: list[str]) -> Callable[[list[str]], Tick]:
    """The parser of the records under this header."""
    missing = [name for name in PATTERNS if name not in header]
    if missing:
        raise RecordError(f"the header lacks {', '.join(missing)}", 1)
    patterns = PATTERNS | {name: pattern for name, pattern in NEWER_PATTERNS.items() if name in header}
    if any(header.count(name) > 1 for name in patterns):
        raise RecordError("the header has a column twice", 1)
    chosen = itemgetter(*map(header.index, patterns))
    record = re.compile(_SEPARATOR.join(f"(?P<{name}>{pattern.regex})" for name, pattern in patterns.items()))

    def parse(row: list[str]) -> Tick:
        if len(row) != len(header):
            raise ValueError(f"{len(row)} cells under a header of {len(header)}")
        cells = chosen(row)
        match = record.fullmatch(_SEPARATOR.join(cells))
        if match is None:
            raise ValueError(_mismatch(patterns, cells))
        return _from_cells(match.groupdict())

    return parse


def _mismatch(patterns: Mapping[str, Pattern], cells: Iterable[str]) -> str:
    """A description of the first cell that doesn't match its pattern."""
    return next(
        f"{name} is not a {pattern.description}: {cell[:40]!r}"
        for (name, pattern), cell in zip(patterns.items(), cells, strict=True)
        if not re.fullmatch(pattern.regex, cell)
    )


def _from_cells(cells: Mapping[str, str]) -> Tick:
    return Tick(
        id=int(cells["id"]),
        price=Decimal(cells["price"]).quantize(CENT),
        status=Status(cells["status"]),
        sources=int(cells["sources"]),
        spread=Decimal(cells["spread"]).quantize(CENT),
        quote_age=int(cells.get("quote_age", 1000 * int(cells["age"]))),
        method=cells["method"],
        recorded=cells.get("recorded") == "true",
    )
