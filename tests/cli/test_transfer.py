"""`export` and `import`: history in a file, which is replaced whole or not at all, and never a part of a store."""

import fcntl
from pathlib import Path

import pytest

from btc_price_tracker.cli.transfer import replacing
from btc_price_tracker.errors import StoreError
from btc_price_tracker.store import open_store
from command import run, shell
from live import a_tick

ELSEWHERE = "postgresql://localhost/prices"


def test_an_interrupted_export_leaves_the_old_file_whole_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(str(path), ELSEWHERE):
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_until_the_end_the_old_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(str(path), ELSEWHERE) as file:
        file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_store_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "prices.db"
    path.write_text("precious")
    with pytest.raises(StoreError, match="isn't overwritten"), replacing(str(path), f"sqlite:///{path}"):
        pass
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_export_and_import_move_history(tmp_path: Path) -> None:
    header = "id,timestamp,price,status,sources,spread,age,quote_age,method,pair,recorded"
    csv = f"{header}\n1764000000123,1764000000,69420.10,ok,3,3.10,0,0,vote3-ped/1,BTC/USD,false\n"
    (tmp_path / "prices.csv").write_text(csv)
    store = f"sqlite:///{tmp_path}/prices.db"
    result = run("import", str(tmp_path / "prices.csv"), STORE_URL=store)
    assert (result.returncode, result.stderr) == (0, "1 prices read, 1 of them new\n")
    assert run("export", STORE_URL=store).stdout == csv


def test_an_import_says_how_many_prices_were_new_and_a_name_says_the_format(tmp_path: Path) -> None:
    header = "id,price,status,sources,spread,age,method"
    (tmp_path / "prices.csv").write_text(f"{header}\n5,1.00,ok,3,3.10,0,x\n6,1.00,ok,3,3.10,0,x\n")
    store = f"sqlite:///{tmp_path}/prices.db"
    assert run("import", str(tmp_path / "prices.csv"), STORE_URL=store).stderr.startswith(
        "2 prices read, 2 of"
    )
    backup = tmp_path / "backup.jsonl"
    assert run("export", str(backup), STORE_URL=store).returncode == 0
    assert backup.read_text().startswith('{"id":5,')
    with backup.open("a") as file:
        file.write(backup.read_text().splitlines()[0].replace('"id":5', '"id":7') + "\n")
    result = run("import", str(backup), STORE_URL=store)
    assert (result.returncode, result.stderr) == (0, "3 prices read, 1 of them new\n")
    assert run("export", str(backup), "--format", "csv", STORE_URL=store).returncode == 0
    assert backup.read_text().startswith("id,timestamp,price")


@pytest.mark.parametrize("scheme", ["sqlite:///", "memory://"])
@pytest.mark.parametrize("suffix", ["", ".lock"])
async def test_an_export_over_the_store_is_refused(tmp_path: Path, scheme: str, suffix: str) -> None:
    path = tmp_path / "prices"
    store = await open_store(f"{scheme}{path}", capacity=10)
    await store.append([a_tick(1)])
    await store.close()
    before = contents(tmp_path)
    result = run("export", f"{path}{suffix}", STORE_URL=f"{scheme}{path}")
    assert result.returncode == 1
    assert (
        f"{path}{suffix} belongs to the store {path} and isn't overwritten; name another file"
        in result.stderr
    )
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_byte_order_mark_is_not_in_the_way(tmp_path: Path) -> None:
    csv = "id,price,status,sources,spread,age,method\n5,1.00,ok,3,3.10,0,x\n"
    (tmp_path / "prices.csv").write_text(csv, encoding="utf-8-sig")
    result = run("import", str(tmp_path / "prices.csv"), STORE_URL=f"sqlite:///{tmp_path}/prices.db")
    assert (result.returncode, result.stderr) == (0, "1 prices read, 1 of them new\n")


@pytest.mark.parametrize("name", ["file", "-"])
def test_a_file_that_is_no_text_is_refused_in_words(tmp_path: Path, name: str) -> None:
    file = tmp_path / "prices.csv"
    file.write_bytes(b"id,price,status,sources,spread,age,method\n5,1.00,ok,3,3.10,0,\xff\n")
    words = f"'{file}'" if name == "file" else f"- < '{file}'"
    result = shell(f"$TRACKER import {words}", STORE_URL=f"sqlite:///{tmp_path}/prices.db")
    assert result.returncode == 1
    assert "the file is no UTF-8 text" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_export_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path: Path) -> None:
    backup, store = tmp_path / "backup.csv", tmp_path / "prices.db"
    backup.write_text("yesterday's")
    with Path(f"{store}.lock").open("ab") as lock:  # as a server that runs holds it
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = run("export", str(backup), STORE_URL=f"sqlite:///{store}")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert backup.read_text() == "yesterday's"
    assert set(tmp_path.iterdir()) <= {backup, store, Path(f"{store}.lock")}


def test_an_export_takes_the_place_of_the_file_before(tmp_path: Path) -> None:
    backup, link = tmp_path / "backup.csv", tmp_path / "latest.csv"
    backup.write_text("yesterday's")
    backup.chmod(0o600)
    link.symlink_to(backup)
    assert run("export", str(link), STORE_URL="memory://").returncode == 0
    assert backup.read_text() == (
        "id,timestamp,price,status,sources,spread,age,quote_age,method,pair,recorded\n"
    )
    assert backup.stat().st_mode & 0o777 == 0o600
    assert link.is_symlink()
    assert set(tmp_path.iterdir()) == {backup, link}


def test_an_export_to_a_pipe_writes_into_the_pipe(tmp_path: Path) -> None:
    result = run("export", "/dev/stdout", STORE_URL="memory://")
    assert result.returncode == 0
    assert result.stdout.startswith("id,")
