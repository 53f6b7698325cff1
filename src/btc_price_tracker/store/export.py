"""History from one store to another, through a file."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store
from btc_price_tracker.store.paging import pages
from btc_price_tracker.store.records import COLUMNS, as_csv, as_json, read_csv, read_json

BATCH = 5_000  # ticks in one transaction
AHEAD = 60_000  # ms by which the clock of whoever gave an id may be ahead of ours

_JSON_LINES = (".jsonl", ".ndjson")


class Imported(NamedTuple):
    """How many ticks a file had, and how many of them the store hadn't."""

    read: int
    new: int


def format_of(name: str, chosen: str | None = None) -> str:
    """`jsonl` for files that are called so, `csv` for all others and for `-`, unless one was chosen."""
    return chosen or ("jsonl" if Path(name).suffix.lower() in _JSON_LINES else "csv")


async def export(store: Store, to: TextIO, form: str) -> int:
    """Write everything that a store holds, oldest first, as `csv` or `jsonl`; returns how many ticks.

    Raises StoreError, and OSError where the file can't be written.
    """
    count = 0
    if form == "csv":
        to.write(",".join(COLUMNS) + "\n")
    as_text = as_csv if form == "csv" else as_json
    async for page in pages(store, 0, quotes=form == "jsonl"):
        to.writelines(map(as_text, page))
        count += len(page)
    return count


async def import_ticks(store: Store, lines: Iterable[str], form: str, now: int) -> Imported:
    """Keep every tick of a file whose id isn't kept yet.

    Raises RecordError on the first line that is no tick, or one of the future of `now` (ms), with whole batches
    before it kept; StoreError.
    """
    ticks = read_csv if form == "csv" else read_json
    read = new = 0
    for batch in _batches(ticks(lines, now + AHEAD)):
        new += await store.append(batch)
        read += len(batch)
    return Imported(read, new)


def _batches(ticks: Iterator[Tick]) -> Iterator[list[Tick]]:
    while batch := list(islice(ticks, BATCH)):
        yield batch
