"""Stored and exported records that can't be read."""

from decimal import Decimal
from pathlib import Path

import pytest

from btc_price_tracker.errors import RecordError, StoreError
from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store.codec import with_quotes
from btc_price_tracker.store.export import import_ticks
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.snapshot_file import load

NOW = 1_764_000_020_000
CSV = "id,price,status,sources,spread,age,method\n"


def test_undecodable_quotes_name_their_tick() -> None:
    tick = Tick(7, Decimal(1), Status.OK, 3, Decimal(0), 0, "vote3/1")
    with pytest.raises(StoreError, match="tick 7: quotes"):
        with_quotes(tick, b"\x02")


async def test_import_refuses_text_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(CSV.encode() + b"\xff\n")
    with path.open(encoding="utf-8") as file, pytest.raises(RecordError, match="UTF-8"):
        await import_ticks(MemoryStore(10), file, "csv", NOW)


async def test_import_refuses_a_repeated_column() -> None:
    with pytest.raises(RecordError, match="a column twice"):
        await import_ticks(MemoryStore(10), [CSV.replace("id,", "id,id,")], "csv", NOW)


async def test_import_skips_empty_csv_lines() -> None:
    store = MemoryStore(10)
    await import_ticks(store, [CSV, "\n", "5,1.00,ok,1,0.00,0,x\n"], "csv", NOW)
    assert [tick.id for tick in store.held()] == [5]


async def test_import_refuses_a_tick_without_an_age() -> None:
    line = '{"id": 5, "price": 1, "status": "ok", "sources": 1, "spread": 0, "method": "x"}'
    with pytest.raises(RecordError, match="quote_age"):
        await import_ticks(MemoryStore(10), [line], "jsonl", NOW)


def test_unreadable_snapshot_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't be read"):
        load(tmp_path)
