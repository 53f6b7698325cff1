"""Export of a store's history to a file, and import from one."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store
from btc_price_tracker.store.csv_records import COLUMNS, csv_line, read_csv
from btc_price_tracker.store.json_records import json_line, read_json
from btc_price_tracker.store.paging import pages

BATCH = 5_000  # ticks per transaction of an import
MAX_CLOCK_SKEW = 60_000  # ms by which the clock that gave an id may be ahead of ours

_JSON_LINES = (".jsonl", ".ndjson")


class Imported(NamedTuple):
    """The number of ticks in a file, and how many of them were new to the store."""

    read: int
    new: int


def format_of(name: str, chosen: str | None = None) -> str:
    """The format that was chosen, else the one of the file name: `jsonl` for .jsonl and .ndjson, otherwise `csv`."""
    return chosen or ("jsonl" if Path(name).suffix.lower() in _JSON_LINES else "csv")


async def export(store: Store, to: TextIO, form: str) -> int:
    """Write all ticks of a store, oldest first, as `csv` or `jsonl`; returns their number.

    Raises StoreError, and OSError where the file can't be written.
    """
    count = 0
    if form == "csv":
        to.write(",".join(COLUMNS) + "\n")
    line = csv_line if form == "csv" else json_line
    async for page in pages(store, 0, quotes=form == "jsonl"):
        to.writelines(map(line, page))
        count += len(page)
    return count


async def import_ticks(store: Store, lines: Iterable[str], form: str, now: int) -> Imported:
    """Append every tick of a file whose id the store doesn't have yet.

    Raises StoreError, and RecordError on the first line that is no tick or is in the future of `now` (ms); batches
    before that line have been stored.
    """
    read_ticks = read_csv if form == "csv" else read_json
    read = new = 0
    for batch in _batches(read_ticks(lines, now + MAX_CLOCK_SKEW)):
        new += await store.append(batch)
        read += len(batch)
    return Imported(read, new)


def _batches(ticks: Iterator[Tick]) -> Iterator[list[Tick]]:
    while batch := list(islice(ticks, BATCH)):
        yield batch
