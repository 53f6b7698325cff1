"""Export and import preserve every tick; records that are malformed or out of range are rejected by line."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from btc_price_tracker.errors import RecordError, StoreError
from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Tick
from btc_price_tracker.store import open_store
from btc_price_tracker.store.export import Imported, export, format_of, import_ticks
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.paging import PAGE

NOW = 1_764_000_020_000
GOOD = {"id": 5, "price": 1, "status": "ok", "sources": 1, "spread": 0, "age": 0, "method": "x"}
QUOTE = AssessedQuote("kraken", Kind.EXCHANGE, last=Decimal("69420.10000"), age=12, used=True)
TICKS = [
    Tick(1_764_000_000_123, Decimal("69420.10"), Status.OK, 3, Decimal("3.10"), 120, "vote3-ped/1", (QUOTE,)),
    Tick(
        1_764_000_010_123,
        Decimal("69420.00"),
        Status.STALE,
        0,
        Decimal("3.10"),
        10_000,
        "vote3-ped/1",
        (QUOTE,),
    ),
]


async def exported_and_imported(form: str) -> MemoryStore:
    source, target, file = MemoryStore(10), MemoryStore(10), io.StringIO()
    await source.append(TICKS)
    assert await export(source, file, form) == 2
    file.seek(0)
    assert await import_ticks(target, file, form, NOW) == Imported(read=2, new=2)
    return target


async def test_json_lines_preserve_complete_ticks() -> None:
    assert (await exported_and_imported("jsonl")).held() == TICKS


async def test_csv_preserves_ticks_without_quotes() -> None:
    assert await (await exported_and_imported("csv")).newest(10) == await (
        await exported_and_imported("jsonl")
    ).newest(10)


async def test_amount_in_exponent_notation_becomes_dollars_and_cents() -> None:
    store = MemoryStore(10)
    await import_ticks(store, [json.dumps(GOOD).replace('"price": 1,', '"price": 1E+5,')], "jsonl", NOW)
    file = io.StringIO()
    await export(store, file, "csv")
    assert file.getvalue().splitlines()[1] == "5,0,100000.00,ok,1,0.00,0,0,x,BTC/USD,false"


async def test_import_leaves_stored_ticks_unchanged() -> None:
    store = await exported_and_imported("jsonl")
    changed = "id,price,status,sources,spread,age,method\n1764000000123,1.00,ok,1,0.00,0,x\n"
    changed += "1764000000124,1.00,ok,1,0.00,0,x\n"
    assert await import_ticks(store, io.StringIO(changed), "csv", NOW) == Imported(read=2, new=1)
    assert store.held()[:2] == TICKS


# The same two ticks as other programs write them.
FOREIGN = {
    "a spreadsheet": (
        '"id","timestamp","price","status","sources","spread","age","method"\r\n'
        '1764000000123,1764000000,69420.1,"ok",3,3.1,0,"vote3-ped/1"\r\n'
        '1764000010123,1764000010,69420,"stale",0,3.1,10,"vote3-ped/1"\r\n'
    ),
    "R, write.csv": (
        '"","id","price","status","sources","spread","age","method"\n'
        '"1",1764000000123,69420.1,"ok",3,3.1,0,"vote3-ped/1"\n'
        '"2",1764000010123,69420,"stale",0,3.1,10,"vote3-ped/1"\n'
    ),
    "pandas, to_csv": (
        ",id,timestamp,price,status,sources,spread,age,method\n"
        "0,1764000000123,1764000000,69420.1,ok,3,3.1,0,vote3-ped/1\n"
        "1,1764000010123,1764000010,69420.0,stale,0,3.1,10,vote3-ped/1\n"
    ),
    "an editor": (
        "id,price,status,sources,spread,age,method,note\n"
        '1764000000123,69420.10,ok,3,3.10,0,vote3-ped/1,"a note, with a ""quote"" and\na second line"\n'
        "\n"
        "1764000010123,69420.00,stale,0,3.10,10,vote3-ped/1,\n"
        "\n"
    ),
}


@pytest.mark.parametrize("writer", FOREIGN)
async def test_csv_of_other_programs_is_imported(writer: str) -> None:
    store = MemoryStore(10)
    assert await import_ticks(store, io.StringIO(FOREIGN[writer]), "csv", NOW) == Imported(2, 2)
    assert await store.newest(10) == [replace(tick, quotes=(), quote_age=tick.age * 1000) for tick in TICKS]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_trailing_blank_line_is_ignored(form: str) -> None:
    source, target, file = MemoryStore(10), MemoryStore(10), io.StringIO()
    await source.append(TICKS)
    await export(source, file, form)
    lines = file.getvalue() + "\n"
    assert await import_ticks(target, io.StringIO(lines), form, NOW) == Imported(2, 2)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ('1764000000123,1.00,ok,3,3.10,0,"x"y', "line 3: malformed CSV"),
        ('1764000000123,1.00,ok,3,3.10,0,"x', "line 3: malformed CSV"),
        ('1764000000123,1.00,"ok, or not",3,3.10,0,x', "line 3: status is not a status: 'ok, or not'"),
    ],
)
async def test_malformed_csv_is_rejected_with_its_line(record: str, reason: str) -> None:
    file = io.StringIO(f"id,price,status,sources,spread,age,method\n1,1.00,ok,3,3.10,0,x\n{record}")
    with pytest.raises(RecordError, match=reason):
        await import_ticks(MemoryStore(10), file, "csv", NOW)


@pytest.mark.parametrize(
    "method", ["=1+1", "+1", "-1", "@SUM(A1)", " x", "\tx", "\rx", "a,b", 'a"b', "x" * 101]
)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_method_that_is_a_formula_or_too_long_is_rejected(form: str, method: str) -> None:
    file = io.StringIO(newline="")
    if form == "csv":
        rows = csv.writer(file, quoting=csv.QUOTE_ALL)
        rows.writerow(GOOD)
        rows.writerow([*[*GOOD.values()][:-1], method])
    else:
        file.write(json.dumps({**GOOD, "method": method}))
    file.seek(0)
    with pytest.raises(RecordError, match="method is not a method name: at most 100 ASCII characters"):
        await import_ticks(MemoryStore(10), file, form, NOW)


@pytest.mark.parametrize(
    ("name", "chosen", "form"),
    [
        ("prices.csv", None, "csv"),
        ("prices.jsonl", None, "jsonl"),
        ("prices.NDJSON", None, "jsonl"),
        ("/backup.jsonl/prices", None, "csv"),
        ("-", None, "csv"),
        ("prices.jsonl", "csv", "csv"),
        ("prices.csv", "jsonl", "jsonl"),
    ],
)
def test_format_follows_file_name_unless_chosen(name: str, chosen: str | None, form: str) -> None:
    assert format_of(name, chosen) == form


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_export_reads_pages_only(form: str) -> None:
    class Paged(MemoryStore):
        async def get(self, tick_id: int) -> Tick | None:
            raise StoreError(f"tick {tick_id} was read by itself")

    store, file = Paged(10_000), io.StringIO()
    await store.append([replace(TICKS[0], id=number) for number in range(1, 2 * PAGE + 2)])
    assert await export(store, file, form) == 2 * PAGE + 1
    assert file.getvalue().count("kraken") == (2 * PAGE + 1 if form == "jsonl" else 0)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1764000000123,NaN,ok,3,3.10,0,x", "price is not a number of dollars and cents"),
        ("1764000000123,1.234,ok,3,3.10,0,x", "price is not a number of dollars and cents"),
        ("1764000000123,0.00,ok,3,3.10,0,x", "out of range"),
        ("-5,1.00,ok,3,3.10,0,x", "id is not a whole number"),
        ("1764000000123456,1.00,ok,3,3.10,0,x", "in the future; ids are milliseconds"),
        ("1764000000123456789,1.00,ok,3,3.10,0,x", "in the future; ids are milliseconds"),
        (f"{NOW + 60_001},1.00,ok,3,3.10,0,x", "in the future"),
        ("1764000000123,1.00,ok,3,3.10,3000000000,x", "age is not a whole number of at most nine digits"),
        ("1764000000123,1.00,fine,3,3.10,0,x", "fine"),
        ("1764000000123,1.00", "2 cells"),
    ],
)
async def test_invalid_csv_line_is_rejected_with_its_number(line: str, reason: str) -> None:
    file = io.StringIO(f"id,price,status,sources,spread,age,method\n1,1.00,ok,3,3.10,0,x\n{line}\n")
    with pytest.raises(RecordError, match=rf"line 3: .*{reason}"):
        await import_ticks(MemoryStore(10), file, "csv", NOW)


async def test_header_without_required_columns_is_rejected() -> None:
    with pytest.raises(RecordError, match="lacks status, sources"):
        await import_ticks(MemoryStore(10), io.StringIO("id,price\n1,2\n"), "csv", NOW)


@pytest.mark.parametrize("line", ["{}", "[1]", '{"id": "x"}', "nonsense"])
async def test_invalid_json_line_is_rejected_with_its_number(line: str) -> None:
    with pytest.raises(RecordError, match="line 1"):
        await import_ticks(MemoryStore(10), io.StringIO(line + "\n"), "jsonl", NOW)


async def test_id_a_minute_ahead_is_accepted() -> None:
    store = MemoryStore(10)
    await import_ticks(
        store, [msgspec.json.encode(replace(TICKS[0], id=NOW + 60_000)).decode()], "jsonl", NOW
    )
    assert len(store.held()) == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"price": "1e30"}, "price or spread"),
        ({"price": "1e999999"}, "price or spread"),
        ({"price": "NaN"}, "price or spread"),
        ({"spread": "-1"}, "price or spread"),
        ({"price": "1.001"}, "exact to the cent"),
        ({"price": "0"}, "id or price is out of range"),
        ({"method": "a\nb"}, "method is not a method name"),
        ({"method": "a\0b"}, "method is not a method name"),
        ({"age": 10**20}, "age"),
        ({"age": -1}, "age"),
        ({"sources": 10**20}, "sources"),
        ({"id": 1764000000123456}, "ids are milliseconds"),
        ({"quotes": [{"source": "x", "kind": "exchange", "time": 10**20}]}, "time or age of a quote"),
        ({"quotes": [{"source": "x", "kind": "exchange", "age": 10**20}]}, "time or age of a quote"),
        ({"quotes": [{"source": "x", "kind": "exchange", "last": "NaN"}]}, "an amount of a quote"),
        ({"quotes": [{"source": "x", "kind": "exchange", "bid": "1e99"}]}, "an amount of a quote"),
        ({"quotes": [{"source": "x" * 1001, "kind": "exchange"}]}, "longer than 1000 characters"),
        (
            {"quotes": [{"source": "x", "kind": "exchange", "reason": "x" * 1001}]},
            "longer than 1000 characters",
        ),
        ({"quotes": [{"source": "x", "kind": "exchange"}] * 101}, "101 quotes, more than 100"),
    ],
    ids=str,
)
async def test_json_has_the_bounds_of_csv(bad: dict[str, object], reason: str, tmp_path: Path) -> None:
    lines = [json.dumps(GOOD), json.dumps({**GOOD, "id": 6, **bad})]
    store = await open_store(f"sqlite:///{tmp_path}/prices.db", capacity=1)
    with pytest.raises(RecordError, match=rf"line 2: .*{reason}"):
        await import_ticks(store, lines, "jsonl", NOW)
    await store.close()
