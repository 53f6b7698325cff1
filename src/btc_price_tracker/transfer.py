"""History from one store to another: as CSV, or as JSON lines, which have every source's quote as well."""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from operator import itemgetter
from typing import TextIO

import msgspec

from btc_price_tracker.price.model import CENT, Status, Tick
from btc_price_tracker.store import Store
from btc_price_tracker.store.amounts import check_cents

COLUMNS = ("id", "timestamp", "price", "status", "sources", "spread", "age", "method")  # as in GET /prices
READ = tuple(name for name in COLUMNS if name != "timestamp")  # which the id has in it
BATCH = 5_000  # ticks in one transaction
GREATEST_ID = 2**53 - 1  # what every JSON reader can hold exactly

_NUMBER = re.compile(r"[0-9]{1,16}", re.ASCII)
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?", re.ASCII)
_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(Tick)


class TransferError(Exception):
    """A line that is no tick: its number, and what is wrong with it."""


async def export(store: Store, to: TextIO, form: str) -> int:
    """Write everything that a store holds, oldest first, as `csv` or `jsonl`; returns how many ticks.

    Raises StoreError, and OSError where the file can't be written.
    """
    count = 0
    if form == "csv":
        to.write(",".join(COLUMNS) + "\n")
    async for page in store.since(0):
        if form == "csv":
            to.writelines(map(_as_csv, page))
        else:
            whole = await asyncio.gather(*(store.get(tick.id) for tick in page))
            to.writelines(_as_json(found or tick) for found, tick in zip(whole, page, strict=True))
        count += len(page)
    return count


async def take_in(store: Store, lines: Iterable[str], form: str) -> int:
    """Keep every tick of a file whose id isn't kept yet; returns how many were read.

    Raises TransferError on the first line that is no tick, with whole batches before it kept; StoreError.
    """
    count = 0
    for batch in _batches(_ticks(lines, form)):
        await store.append(batch)
        count += len(batch)
    return count


def _ticks(lines: Iterable[str], form: str) -> Iterator[Tick]:
    numbered = enumerate(lines, 1)
    read = _csv_reader(next(numbered, (1, ""))[1]) if form == "csv" else _from_json
    for number, line in numbered:
        try:
            yield read(line)
        except (ValueError, msgspec.MsgspecError) as error:
            raise TransferError(f"line {number}: {error}") from None


def _batches(ticks: Iterator[Tick]) -> Iterator[list[Tick]]:
    while batch := list(islice(ticks, BATCH)):
        yield batch


def _as_csv(tick: Tick) -> str:
    amounts = f"{tick.price},{tick.status},{tick.sources},{tick.spread},{tick.age}"
    return f"{tick.id},{tick.timestamp},{amounts},{tick.method}\n"


def _as_json(tick: Tick) -> str:
    return _encoder.encode(tick).decode() + "\n"


def _csv_reader(header: str) -> Callable[[str], Tick]:
    """What reads the lines under a header, in whatever order it has the columns."""
    names = header.strip().split(",")
    missing = [name for name in READ if name not in names]
    if missing:
        raise TransferError(f"line 1: the header lacks {', '.join(missing)}")
    in_order = itemgetter(*map(names.index, READ))

    def read(line: str) -> Tick:
        cells = line.rstrip("\r\n").split(",")  # no value of ours has a comma or quotes
        if len(cells) != len(names):
            raise ValueError(f"{len(cells)} cells under a header of {len(names)}")
        return _from_cells(*in_order(cells))

    return read


def _from_cells(*cells: str) -> Tick:
    tick_id, price, status, sources, spread, age, method = cells
    return _in_range(
        Tick(
            _number("id", tick_id),
            _amount("price", price),
            Status(status),
            _number("sources", sources),
            _amount("spread", spread),
            _number("age", age),
            method,
        )
    )


def _from_json(line: str) -> Tick:
    tick = _decoder.decode(line)
    if not (tick.price.is_finite() and tick.spread.is_finite()):
        raise ValueError("its price or spread is no number")
    check_cents(tick)
    return _in_range(tick)


def _in_range(tick: Tick) -> Tick:
    if not (0 < tick.id <= GREATEST_ID and tick.price > 0):
        raise ValueError("its id or price is out of range")
    return tick


def _number(name: str, cell: str) -> int:
    if not _NUMBER.fullmatch(cell):
        raise ValueError(f"{name} is no whole number: {cell[:40]!r}")
    return int(cell)


def _amount(name: str, cell: str) -> Decimal:
    if not _AMOUNT.fullmatch(cell):
        raise ValueError(f"{name} is no amount in dollars and cents: {cell[:40]!r}")
    return Decimal(cell).quantize(CENT)
