"""History moves between stores without a change."""

import io
from decimal import Decimal

import pytest

from btc_price_tracker.price.model import Judged, Kind, Status, Tick
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.transfer import TransferError, export, take_in

QUOTE = Judged("kraken", Kind.EXCHANGE, last=Decimal("69420.10000"), age=12, used=True)
TICKS = [
    Tick(1_764_000_000_123, Decimal("69420.10"), Status.OK, 3, Decimal("3.10"), 0, "vote3-ped/1", (QUOTE,)),
    Tick(
        1_764_000_010_123, Decimal("69420.00"), Status.STALE, 0, Decimal("3.10"), 10, "vote3-ped/1", (QUOTE,)
    ),
]


async def moved(form: str) -> MemoryStore:
    source, target, file = MemoryStore(10), MemoryStore(10), io.StringIO()
    await source.append(TICKS)
    assert await export(source, file, form) == 2
    file.seek(0)
    assert await take_in(target, file, form) == 2
    return target


async def test_json_lines_keep_everything() -> None:
    assert (await moved("jsonl")).held() == TICKS


async def test_csv_keeps_everything_but_the_quotes() -> None:
    assert await (await moved("csv")).newest(10) == await (await moved("jsonl")).newest(10)


async def test_what_is_kept_already_stays_as_it_is() -> None:
    store = await moved("jsonl")
    changed = "id,price,status,sources,spread,age,method\n1764000000123,1.00,ok,1,0.00,0,x\n"
    await take_in(store, io.StringIO(changed), "csv")
    assert store.held() == TICKS


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1764000000123,NaN,ok,3,3.10,0,x", "price is no amount"),
        ("1764000000123,1.234,ok,3,3.10,0,x", "price is no amount"),
        ("1764000000123,0.00,ok,3,3.10,0,x", "out of range"),
        ("-5,1.00,ok,3,3.10,0,x", "id is no whole number"),
        ("1764000000123,1.00,fine,3,3.10,0,x", "fine"),
        ("1764000000123,1.00", "2 cells"),
        ("", "1 cells"),
    ],
)
async def test_a_bad_line_is_named(line: str, reason: str) -> None:
    file = io.StringIO(f"id,price,status,sources,spread,age,method\n1,1.00,ok,3,3.10,0,x\n{line}\n")
    with pytest.raises(TransferError, match=rf"line 3: .*{reason}"):
        await take_in(MemoryStore(10), file, "csv")


async def test_a_file_without_the_columns_is_refused() -> None:
    with pytest.raises(TransferError, match="lacks status, sources"):
        await take_in(MemoryStore(10), io.StringIO("id,price\n1,2\n"), "csv")


@pytest.mark.parametrize("line", ["", "{}", "[1]", '{"id": "x"}', "nonsense"])
async def test_a_bad_json_line_is_named(line: str) -> None:
    with pytest.raises(TransferError, match="line 1"):
        await take_in(MemoryStore(10), io.StringIO(line + "\n"), "jsonl")
