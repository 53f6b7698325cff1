"""History moves between stores without a change."""

import io
import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from btc_price_tracker.price.model import Judged, Kind, Status, Tick
from btc_price_tracker.store import open_store
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.transfer import TransferError, export, take_in

NOW = 1_764_000_020_000
QUOTE = Judged("kraken", Kind.EXCHANGE, last=Decimal("69420.10000"), age=12, used=True)
TICKS = [
    Tick(1_764_000_000_123, Decimal("69420.10"), Status.OK, 3, Decimal("3.10"), 120, "vote3-ped/1", (QUOTE,)),
    Tick(
        1_764_000_010_123, Decimal("69420.00"), Status.STALE, 0, Decimal("3.10"), 10, "vote3-ped/1", (QUOTE,)
    ),
]


async def moved(form: str) -> MemoryStore:
    source, target, file = MemoryStore(10), MemoryStore(10), io.StringIO()
    await source.append(TICKS)
    assert await export(source, file, form) == 2
    file.seek(0)
    assert await take_in(target, file, form, NOW) == 2
    return target


async def test_json_lines_keep_everything() -> None:
    assert (await moved("jsonl")).held() == TICKS


async def test_csv_keeps_everything_but_the_quotes() -> None:
    assert await (await moved("csv")).newest(10) == await (await moved("jsonl")).newest(10)


async def test_an_amount_in_another_notation_is_kept_as_dollars_and_cents() -> None:
    store = MemoryStore(10)
    await take_in(store, [json.dumps(GOOD).replace('"price": 1,', '"price": 1E+5,')], "jsonl", NOW)
    written = io.StringIO()
    await export(store, written, "csv")
    assert written.getvalue().splitlines()[1] == "5,0,100000.00,ok,1,0.00,0,0,x,BTC/USD,false"


async def test_what_is_kept_already_stays_as_it_is() -> None:
    store = await moved("jsonl")
    changed = "id,price,status,sources,spread,age,method\n1764000000123,1.00,ok,1,0.00,0,x\n"
    await take_in(store, io.StringIO(changed), "csv", NOW)
    assert store.held() == TICKS


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1764000000123,NaN,ok,3,3.10,0,x", "price is no amount"),
        ("1764000000123,1.234,ok,3,3.10,0,x", "price is no amount"),
        ("1764000000123,0.00,ok,3,3.10,0,x", "out of range"),
        ("-5,1.00,ok,3,3.10,0,x", "id is no whole number"),
        ("1764000000123456,1.00,ok,3,3.10,0,x", "later than now; ids are milliseconds"),
        ("1764000000123456789,1.00,ok,3,3.10,0,x", "later than now; ids are milliseconds"),
        (f"{NOW + 60_001},1.00,ok,3,3.10,0,x", "later than now"),
        ("1764000000123,1.00,ok,3,3.10,3000000000,x", "age is no whole number of at most nine digits"),
        ("1764000000123,1.00,fine,3,3.10,0,x", "fine"),
        ("1764000000123,1.00", "2 cells"),
        ("", "1 cells"),
    ],
)
async def test_a_bad_line_is_named(line: str, reason: str) -> None:
    file = io.StringIO(f"id,price,status,sources,spread,age,method\n1,1.00,ok,3,3.10,0,x\n{line}\n")
    with pytest.raises(TransferError, match=rf"line 3: .*{reason}"):
        await take_in(MemoryStore(10), file, "csv", NOW)


async def test_a_file_without_the_columns_is_refused() -> None:
    with pytest.raises(TransferError, match="lacks status, sources"):
        await take_in(MemoryStore(10), io.StringIO("id,price\n1,2\n"), "csv", NOW)


@pytest.mark.parametrize("line", ["", "{}", "[1]", '{"id": "x"}', "nonsense"])
async def test_a_bad_json_line_is_named(line: str) -> None:
    with pytest.raises(TransferError, match="line 1"):
        await take_in(MemoryStore(10), io.StringIO(line + "\n"), "jsonl", NOW)


async def test_a_clock_that_is_a_minute_ahead_is_no_fault() -> None:
    store = MemoryStore(10)
    await take_in(store, [msgspec.json.encode(replace(TICKS[0], id=NOW + 60_000)).decode()], "jsonl", NOW)
    assert len(store.held()) == 1


GOOD = {"id": 5, "price": 1, "status": "ok", "sources": 1, "spread": 0, "age": 0, "method": "x"}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"price": "1e30"}, "price or spread"),
        ({"price": "1e999999"}, "price or spread"),
        ({"price": "NaN"}, "price or spread"),
        ({"spread": "-1"}, "price or spread"),
        ({"price": "1.001"}, "exact to the cent"),
        ({"price": "0"}, "id or price"),
        ({"method": "a,b"}, "its method has a comma"),
        ({"method": "a\nb"}, "its method has a comma"),
        ({"method": "a\0b"}, "its method has a comma"),
        ({"age": 10**20}, "age"),
        ({"age": -1}, "age"),
        ({"sources": 10**20}, "sources"),
        ({"id": 1764000000123456}, "ids are milliseconds"),
        ({"quotes": [{"source": "x", "kind": "exchange", "time": 10**20}]}, "time or the age of a quote"),
        ({"quotes": [{"source": "x", "kind": "exchange", "age": 10**20}]}, "time or the age of a quote"),
    ],
    ids=str,
)
async def test_json_is_held_to_the_bounds_of_csv(bad: dict[str, object], reason: str, tmp_path: Path) -> None:
    lines = [json.dumps(GOOD), json.dumps({**GOOD, "id": 6, **bad})]
    store = await open_store(f"sqlite:///{tmp_path}/prices.db", capacity=1)
    with pytest.raises(TransferError, match=rf"line 2: .*{reason}"):
        await take_in(store, lines, "jsonl", NOW)
    await store.close()
