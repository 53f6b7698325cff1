"""History moves between stores without a change."""

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


async def moved(form: str) -> MemoryStore:
    source, target, file = MemoryStore(10), MemoryStore(10), io.StringIO()
    await source.append(TICKS)
    assert await export(source, file, form) == 2
    file.seek(0)
    assert await import_ticks(target, file, form, NOW) == Imported(read=2, new=2)
    return target


async def test_json_lines_keep_everything() -> None:
    assert (await moved("jsonl")).held() == TICKS


async def test_csv_keeps_everything_but_the_quotes() -> None:
    assert await (await moved("csv")).newest(10) == await (await moved("jsonl")).newest(10)


async def test_an_amount_in_another_notation_is_kept_as_dollars_and_cents() -> None:
    store = MemoryStore(10)
    await import_ticks(store, [json.dumps(GOOD).replace('"price": 1,', '"price": 1E+5,')], "jsonl", NOW)
    written = io.StringIO()
    await export(store, written, "csv")
    assert written.getvalue().splitlines()[1] == "5,0,100000.00,ok,1,0.00,0,0,x,BTC/USD,false"


async def test_what_is_kept_already_stays_as_it_is() -> None:
    store = await moved("jsonl")
    changed = "id,price,status,sources,spread,age,method\n1764000000123,1.00,ok,1,0.00,0,x\n"
    changed += "1764000000124,1.00,ok,1,0.00,0,x\n"
    assert await import_ticks(store, io.StringIO(changed), "csv", NOW) == Imported(read=2, new=1)
    assert store.held()[:2] == TICKS


# What others write: the same two prices, as they leave these programs.
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
async def test_csv_of_other_programs_is_read(writer: str) -> None:
    store = MemoryStore(10)
    assert await import_ticks(store, io.StringIO(FOREIGN[writer]), "csv", NOW) == Imported(2, 2)
    assert await store.newest(10) == [replace(tick, quotes=(), quote_age=tick.age * 1000) for tick in TICKS]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_an_empty_line_at_the_end_is_no_tick(form: str) -> None:
    source, target, file = MemoryStore(10), MemoryStore(10), io.StringIO()
    await source.append(TICKS)
    await export(source, file, form)
    lines = file.getvalue() + "\n"
    assert await import_ticks(target, io.StringIO(lines), form, NOW) == Imported(2, 2)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ('1764000000123,1.00,ok,3,3.10,0,"x"y', "line 3: it is no CSV"),
        ('1764000000123,1.00,ok,3,3.10,0,"x', "line 3: it is no CSV"),
        ('1764000000123,1.00,"ok, or not",3,3.10,0,x', "line 3: status is no status: 'ok, or not'"),
    ],
)
async def test_malformed_csv_is_named(record: str, reason: str) -> None:
    file = io.StringIO(f"id,price,status,sources,spread,age,method\n1,1.00,ok,3,3.10,0,x\n{record}")
    with pytest.raises(RecordError, match=reason):
        await import_ticks(MemoryStore(10), file, "csv", NOW)


@pytest.mark.parametrize(
    "method", ["=1+1", "+1", "-1", "@SUM(A1)", " x", "\tx", "\rx", "a,b", 'a"b', "x" * 101]
)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_a_method_that_a_spreadsheet_takes_for_a_formula_or_that_has_no_end_is_refused(
    form: str, method: str
) -> None:
    file = io.StringIO(newline="")
    if form == "csv":
        rows = csv.writer(file, quoting=csv.QUOTE_ALL)
        rows.writerow(GOOD)
        rows.writerow([*[*GOOD.values()][:-1], method])
    else:
        file.write(json.dumps({**GOOD, "method": method}))
    file.seek(0)
    with pytest.raises(RecordError, match="method is no name of a method: at most 100 plain characters"):
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
def test_the_format_is_that_of_the_files_name_unless_one_was_chosen(
    name: str, chosen: str | None, form: str
) -> None:
    assert format_of(name, chosen) == form


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_an_export_reads_page_by_page_and_no_tick_by_itself(form: str) -> None:
    class Paged(MemoryStore):
        async def get(self, tick_id: int) -> Tick | None:
            raise StoreError(f"tick {tick_id} was asked for by itself")

    store, file = Paged(10_000), io.StringIO()
    await store.append([replace(TICKS[0], id=number) for number in range(1, 2 * PAGE + 2)])
    assert await export(store, file, form) == 2 * PAGE + 1
    assert file.getvalue().count("kraken") == (2 * PAGE + 1 if form == "jsonl" else 0)


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
    ],
)
async def test_a_bad_line_is_named(line: str, reason: str) -> None:
    file = io.StringIO(f"id,price,status,sources,spread,age,method\n1,1.00,ok,3,3.10,0,x\n{line}\n")
    with pytest.raises(RecordError, match=rf"line 3: .*{reason}"):
        await import_ticks(MemoryStore(10), file, "csv", NOW)


async def test_a_file_without_the_columns_is_refused() -> None:
    with pytest.raises(RecordError, match="lacks status, sources"):
        await import_ticks(MemoryStore(10), io.StringIO("id,price\n1,2\n"), "csv", NOW)


@pytest.mark.parametrize("line", ["{}", "[1]", '{"id": "x"}', "nonsense"])
async def test_a_bad_json_line_is_named(line: str) -> None:
    with pytest.raises(RecordError, match="line 1"):
        await import_ticks(MemoryStore(10), io.StringIO(line + "\n"), "jsonl", NOW)


async def test_a_clock_that_is_a_minute_ahead_is_no_fault() -> None:
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
        ({"price": "0"}, "id or price"),
        ({"method": "a\nb"}, "its method is no name"),
        ({"method": "a\0b"}, "its method is no name"),
        ({"age": 10**20}, "age"),
        ({"age": -1}, "age"),
        ({"sources": 10**20}, "sources"),
        ({"id": 1764000000123456}, "ids are milliseconds"),
        ({"quotes": [{"source": "x", "kind": "exchange", "time": 10**20}]}, "time or the age of a quote"),
        ({"quotes": [{"source": "x", "kind": "exchange", "age": 10**20}]}, "time or the age of a quote"),
        ({"quotes": [{"source": "x", "kind": "exchange", "last": "NaN"}]}, "an amount of a quote"),
        ({"quotes": [{"source": "x", "kind": "exchange", "bid": "1e99"}]}, "an amount of a quote"),
        ({"quotes": [{"source": "x" * 1001, "kind": "exchange"}]}, "more than 1000 characters"),
        (
            {"quotes": [{"source": "x", "kind": "exchange", "reason": "x" * 1001}]},
            "more than 1000 characters",
        ),
        ({"quotes": [{"source": "x", "kind": "exchange"}] * 101}, "101 quotes, more than 100"),
    ],
    ids=str,
)
async def test_json_is_held_to_the_bounds_of_csv(bad: dict[str, object], reason: str, tmp_path: Path) -> None:
    lines = [json.dumps(GOOD), json.dumps({**GOOD, "id": 6, **bad})]
    store = await open_store(f"sqlite:///{tmp_path}/prices.db", capacity=1)
    with pytest.raises(RecordError, match=rf"line 2: .*{reason}"):
        await import_ticks(store, lines, "jsonl", NOW)
    await store.close()
