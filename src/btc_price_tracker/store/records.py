"""Ticks as lines of text and back: CSV (RFC 4180) without quotes, or JSON lines, which have every source's quote."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from btc_price_tracker.errors import RecordError
from btc_price_tracker.price.model import CENT, PAIR, AssessedQuote, Status, Tick
from btc_price_tracker.store.integers import check_cents
from btc_price_tracker.store.written import WrittenTick

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
# Below these, every store has room.
MAX_DOLLARS = 10**12
MAX_NUMBER = 10**9  # for counts, and ages in seconds
MAX_MS = 10**16  # for a source's own time and age
MAX_QUOTES = 100  # of a tick
MAX_TEXT = 1000  # characters of a source's name, or of the reason why it wasn't used


T = TypeVar("T")


class Cell(NamedTuple):
    """How a value of a CSV file must look, and in words."""

    pattern: str
    words: str


_NUMBER = Cell(r"[0-9]{1,9}", "whole number of at most nine digits")
_DOLLARS = Cell(r"[0-9]{1,12}(?:\.[0-9]{1,2})?", "amount in dollars and cents")
# It needs no quotes in CSV, and a spreadsheet doesn't take it for a formula (those begin with = + - @ or a blank).
_METHOD = Cell(
    r"(?:[A-Za-z0-9_][ !#-+\--~]{0,99})?",
    "name of a method: at most 100 plain characters without commas and quotes, the first a letter or digit",
)

# The fields of a tick in their order; the timestamp of an exported file is in the id already.
CELLS = {
    "id": Cell(r"[0-9]{1,19}", "whole number with all its digits"),
    "price": _DOLLARS,
    "status": Cell("|".join(Status), "status"),
    "sources": _NUMBER,
    "spread": _DOLLARS,
    "age": _NUMBER,
    "method": _METHOD,
}
# Those that older files lack.
NEWER_CELLS = {
    "quote_age": Cell(r"[0-9]{1,12}", "whole number of milliseconds"),
    "recorded": Cell("true|false", "true or false"),
}
_SEPARATOR = "\x1f"  # in no cell that fits its pattern, so that all are checked at once

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(WrittenTick)


def as_csv(tick: Tick) -> str:
    """A line under the header that COLUMNS makes."""
    amounts = f"{tick.price},{tick.status},{tick.sources},{tick.spread},{tick.age},{tick.quote_age}"
    return f"{tick.id},{tick.timestamp},{amounts},{tick.method},{PAIR},{str(tick.recorded).lower()}\n"


def as_json(tick: Tick) -> str:
    """A line with everything that a tick has."""
    return _encoder.encode(tick).decode() + "\n"


def read_csv(lines: Iterable[str], last: int) -> Iterator[Tick]:
    """The ticks of a CSV file, whose header may have the columns in any order; others and blank lines are left unread.

    Raises RecordError on the first line that is no tick with an id up to `last`.
    """
    rows = _rows(lines)
    read = _row_reader(next(rows, (1, []))[1])
    return _read(rows, read, last)


def read_json(lines: Iterable[str], last: int) -> Iterator[Tick]:
    """The ticks of a file with one a line; blank lines are left unread. Raises as `read_csv`."""
    numbered = enumerate(_decoded(lines), 1)
    return _read(((number, line) for number, line in numbered if line.strip()), _from_json, last)


def _read(numbered: Iterable[tuple[int, T]], read: Callable[[T], Tick], last: int) -> Iterator[Tick]:
    for number, record in numbered:
        try:
            yield _in_range(read(record), last)
        except (ValueError, msgspec.MsgspecError) as error:
            raise RecordError(str(error), number) from None


def _decoded(lines: Iterable[str]) -> Iterator[str]:
    try:
        yield from lines
    except UnicodeDecodeError as error:
        raise RecordError(f"the file is no UTF-8 text ({error.reason})") from None


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV file, and the line that each ends in."""
    reader = csv.reader(_decoded(lines), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise RecordError(f"it is no CSV ({error})", reader.line_num) from None


def _row_reader(names: list[str]) -> Callable[[list[str]], Tick]:
    """What reads the records under a header."""
    missing = [name for name in CELLS if name not in names]
    if missing:
        raise RecordError(f"the header lacks {', '.join(missing)}", 1)
    cells_of = CELLS | {name: cell for name, cell in NEWER_CELLS.items() if name in names}
    if any(names.count(name) > 1 for name in cells_of):
        raise RecordError("the header names a column twice", 1)
    chosen = itemgetter(*map(names.index, cells_of))
    whole = re.compile(_SEPARATOR.join(f"(?P<{name}>{cell.pattern})" for name, cell in cells_of.items()))

    def read(row: list[str]) -> Tick:
        if len(row) != len(names):
            raise ValueError(f"{len(row)} cells under a header of {len(names)}")
        cells = chosen(row)
        match = whole.fullmatch(_SEPARATOR.join(cells))
        if match is None:
            raise ValueError(_fault(cells_of, cells))
        return _from_cells(match.groupdict())

    return read


def _fault(cells_of: Mapping[str, Cell], texts: Iterable[str]) -> str:
    """What is wrong with texts that don't match."""
    return next(
        f"{name} is no {cell.words}: {text[:40]!r}"
        for (name, cell), text in zip(cells_of.items(), texts, strict=True)
        if not re.fullmatch(cell.pattern, text)
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


def _from_json(line: str) -> Tick:
    """A tick within the bounds that the cells of a CSV file have by their patterns."""
    tick = _decoder.decode(line).tick()
    if not all(_is_amount(amount) and amount >= 0 for amount in (tick.price, tick.spread)):
        raise ValueError("its price or spread is no amount in dollars and cents")
    check_cents(tick)
    if not all(0 <= number < MAX_NUMBER for number in (tick.sources, tick.age)):
        raise ValueError("its count of sources or its age is out of range")
    if not re.fullmatch(_METHOD.pattern, tick.method):
        raise ValueError(f"its method is no {_METHOD.words}: {tick.method[:40]!r}")
    if len(tick.quotes) > MAX_QUOTES:
        raise ValueError(f"it has {len(tick.quotes)} quotes, more than {MAX_QUOTES}")
    for quote in tick.quotes:
        _check_quote(quote)
    return replace(tick, price=tick.price.quantize(CENT), spread=tick.spread.quantize(CENT))


def _check_quote(quote: AssessedQuote) -> None:
    if not all(abs(moment) < MAX_MS for moment in (quote.time or 0, quote.age or 0)):
        raise ValueError("the time or the age of a quote is out of range")
    amounts = (quote.last, quote.bid, quote.ask, quote.rate, quote.price, quote.confidence)
    if not all(amount is None or _is_amount(amount) for amount in amounts):
        raise ValueError("an amount of a quote is out of range")
    if any(len(text or "") > MAX_TEXT for text in (quote.source, quote.reason, quote.rate_from)):
        raise ValueError(f"a text of a quote has more than {MAX_TEXT} characters")


def _is_amount(amount: Decimal) -> bool:
    return amount.is_finite() and abs(amount) < MAX_DOLLARS


def _in_range(tick: Tick, last: int) -> Tick:
    if tick.id > last:
        raise ValueError(f"its id {tick.id} is later than now; ids are milliseconds since the epoch")
    if not (tick.id > 0 and tick.price > 0):
        raise ValueError("its id or price is out of range")
    return tick
