"""History from one store to another: as CSV, or as JSON lines, which have every source's quote as well."""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import NamedTuple, TextIO

import msgspec
from msgspec.structs import replace

from btc_price_tracker.price.model import CENT, PAIR, Status, Tick
from btc_price_tracker.store import Store
from btc_price_tracker.store.amounts import check_cents
from btc_price_tracker.store.paging import pages
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
BATCH = 5_000  # ticks in one transaction
AHEAD = 60_000  # ms by which the clock of whoever gave an id may be ahead of ours
# Below these, every store has room.
MAX_DOLLARS = 10**12
MAX_NUMBER = 10**9  # for counts, and ages in seconds
MAX_MS = 10**16  # for a source's own time and age


class Cell(NamedTuple):
    """How a value of a CSV file must look, and in words."""

    pattern: str
    words: str


_NUMBER = Cell(r"[0-9]{1,9}", "whole number of at most nine digits")
_DOLLARS = Cell(r"[0-9]{1,12}(?:\.[0-9]{1,2})?", "amount in dollars and cents")

# The fields of a tick in their order; the timestamp of an exported file is in the id already.
CELLS = {
    "id": Cell(r"[0-9]{1,19}", "whole number"),
    "price": _DOLLARS,
    "status": Cell("|".join(Status), "status"),
    "sources": _NUMBER,
    "spread": _DOLLARS,
    "age": _NUMBER,
    "method": Cell(r'[^,"\x00-\x1f\x7f]*', "method"),
}
# Those that older files lack.
NEWER_CELLS = {
    "quote_age": Cell(r"[0-9]{1,12}", "whole number of milliseconds"),
    "recorded": Cell("true|false", "true or false"),
}

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(WrittenTick)


class TransferError(Exception):
    """A line that is no tick: its number, and what is wrong with it."""


async def export(store: Store, to: TextIO, form: str) -> int:
    """Write everything that a store holds, oldest first, as `csv` or `jsonl`; returns how many ticks.

    Raises StoreError, and OSError where the file can't be written.
    """
    count = 0
    if form == "csv":
        to.write(",".join(COLUMNS) + "\n")
    async for page in pages(store, 0):
        if form == "csv":
            to.writelines(map(_as_csv, page))
        else:
            whole = await asyncio.gather(*(store.get(tick.id) for tick in page))
            to.writelines(_as_json(found or tick) for found, tick in zip(whole, page, strict=True))
        count += len(page)
    return count


async def take_in(store: Store, lines: Iterable[str], form: str, now: int) -> int:
    """Keep every tick of a file whose id isn't kept yet; returns how many were read.

    Raises TransferError on the first line that is no tick, or one of the future of `now` (ms), with whole batches
    before it kept; StoreError.
    """
    count = 0
    for batch in _batches(_ticks(lines, form, now + AHEAD)):
        await store.append(batch)
        count += len(batch)
    return count


def _ticks(lines: Iterable[str], form: str, last: int) -> Iterator[Tick]:
    numbered = enumerate(_decoded(lines), 1)
    read = _csv_reader(next(numbered, (1, ""))[1]) if form == "csv" else _from_json
    for number, line in numbered:
        try:
            yield _in_range(read(line), last)
        except (ValueError, msgspec.MsgspecError) as error:
            raise TransferError(f"line {number}: {error}") from None


def _decoded(lines: Iterable[str]) -> Iterator[str]:
    try:
        yield from lines
    except UnicodeDecodeError as error:
        raise TransferError(f"the file is no UTF-8 text ({error.reason})") from None


def _batches(ticks: Iterator[Tick]) -> Iterator[list[Tick]]:
    while batch := list(islice(ticks, BATCH)):
        yield batch


def _as_csv(tick: Tick) -> str:
    amounts = f"{tick.price},{tick.status},{tick.sources},{tick.spread},{tick.age},{tick.quote_age}"
    return f"{tick.id},{tick.timestamp},{amounts},{tick.method},{PAIR},{str(tick.recorded).lower()}\n"


def _as_json(tick: Tick) -> str:
    return _encoder.encode(tick).decode() + "\n"


def _csv_reader(header: str) -> Callable[[str], Tick]:
    """What reads the lines under a header, in whatever order it has the columns; others are left unread."""
    names = header.strip().split(",")
    missing = [name for name in CELLS if name not in names]
    if missing:
        raise TransferError(f"line 1: the header lacks {', '.join(missing)}")
    if len(set(names)) < len(names):
        raise TransferError("line 1: the header names a column twice")
    # All of a line at once: no value of ours has a comma or quotes.
    whole = re.compile(",".join(map(_group, names)), re.ASCII)

    def read(line: str) -> Tick:
        line = line.rstrip("\r\n")
        match = whole.fullmatch(line)
        if match is None:
            raise ValueError(_fault(names, line.split(",")))
        return _from_cells(match.groupdict())

    return read


def _group(name: str) -> str:
    cell = (CELLS | NEWER_CELLS).get(name)
    return f"(?P<{name}>{cell.pattern})" if cell else "[^,]*"


def _fault(names: list[str], cells: list[str]) -> str:
    """What is wrong with a line that doesn't match."""
    if len(cells) != len(names):
        return f"{len(cells)} cells under a header of {len(names)}"
    known = CELLS | NEWER_CELLS
    return next(
        f"{name} is no {known[name].words}: {cell[:40]!r}"
        for name, cell in zip(names, cells, strict=True)
        if name in known and not re.fullmatch(known[name].pattern, cell, re.ASCII)
    )


def _from_cells(cells: dict[str, str]) -> Tick:
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
    if not all(amount.is_finite() and 0 <= amount < MAX_DOLLARS for amount in (tick.price, tick.spread)):
        raise ValueError("its price or spread is no amount in dollars and cents")
    check_cents(tick)
    if not all(0 <= number < MAX_NUMBER for number in (tick.sources, tick.age)):
        raise ValueError("its count of sources or its age is out of range")
    if not all(abs(moment) < MAX_MS for said in tick.quotes for moment in (said.time or 0, said.age or 0)):
        raise ValueError("the time or the age of a quote is out of range")
    if not re.fullmatch(CELLS["method"].pattern, tick.method):
        raise ValueError("its method has a comma, quotes or a control character")
    return replace(tick, price=tick.price.quantize(CENT), spread=tick.spread.quantize(CENT))


def _in_range(tick: Tick, last: int) -> Tick:
    if tick.id > last:
        raise ValueError(f"its id {tick.id} is later than now; ids are milliseconds since the epoch")
    if not (tick.id > 0 and tick.price > 0):
        raise ValueError("its id or price is out of range")
    return tick
