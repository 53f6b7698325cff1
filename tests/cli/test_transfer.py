"""`export` and `import`: files are replaced atomically, and files of a store never."""

import fcntl
import os
from pathlib import Path

import pytest

from btc_price_tracker.cli.transfer import open_export
from btc_price_tracker.errors import StoreError
from btc_price_tracker.store import open_store
from command import run, shell
from live import a_tick

ELSEWHERE = "postgresql://localhost/prices"


def test_an_interrupted_export_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), open_export(str(path), ELSEWHERE):
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_export_replaces_the_file_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with open_export(str(path), ELSEWHERE) as file:
        file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_an_export_is_private(tmp_path: Path, umask: int) -> None:
    path, before = tmp_path / "file", os.umask(umask)
    try:
        with open_export(str(path), ELSEWHERE):
            pass
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_export_replaces_the_target_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("folder/file")
    (tmp_path / "folder").mkdir()
    with open_export(str(tmp_path / "link"), ELSEWHERE) as file:
        file.write("new")
    assert (tmp_path / "folder" / "file").read_text() == "new"
    assert (tmp_path / "link").is_symlink()


def test_an_endless_line_is_not_read_into_memory(tmp_path: Path) -> None:
    result = run("import", "/dev/zero", STORE_URL=f"sqlite:///{tmp_path}/prices.db")
    assert (result.returncode, result.stdout) == (1, "")
    assert "line 1: the line is longer than 1,048,576 characters" in result.stderr


def test_store_files_are_not_opened_for_export(tmp_path: Path) -> None:
    path = tmp_path / "prices.db"
    path.write_text("precious")
    with pytest.raises(StoreError, match="isn't overwritten"), open_export(str(path), f"sqlite:///{path}"):
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


def test_import_counts_new_prices_and_infers_the_format(tmp_path: Path) -> None:
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


def test_import_into_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("")
    result = run("import", str(tmp_path / "prices.csv"), STORE_URL="memory://")
    assert result.returncode == 1
    assert "memory:// keeps nothing after an import" in result.stderr


def test_file_that_cannot_be_written_is_named_as_it_was_given(tmp_path: Path) -> None:
    result = run("export", f"{tmp_path}/nowhere/prices.csv", STORE_URL="memory://")
    assert result.returncode == 1
    assert f"{tmp_path}/nowhere/prices.csv: " in result.stderr


@pytest.mark.parametrize("scheme", ["sqlite:///", "memory://"])
@pytest.mark.parametrize("suffix", ["", ".lock"])
async def test_export_to_store_files_is_refused(tmp_path: Path, scheme: str, suffix: str) -> None:
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


def test_import_accepts_a_byte_order_mark(tmp_path: Path) -> None:
    csv = "id,price,status,sources,spread,age,method\n5,1.00,ok,3,3.10,0,x\n"
    (tmp_path / "prices.csv").write_text(csv, encoding="utf-8-sig")
    result = run("import", str(tmp_path / "prices.csv"), STORE_URL=f"sqlite:///{tmp_path}/prices.db")
    assert (result.returncode, result.stderr) == (0, "1 prices read, 1 of them new\n")


@pytest.mark.parametrize("name", ["file", "-"])
def test_invalid_utf8_is_reported(tmp_path: Path, name: str) -> None:
    file = tmp_path / "prices.csv"
    file.write_bytes(b"id,price,status,sources,spread,age,method\n5,1.00,ok,3,3.10,0,\xff\n")
    argument = f"'{file}'" if name == "file" else f"- < '{file}'"
    result = shell(f"$TRACKER import {argument}", STORE_URL=f"sqlite:///{tmp_path}/prices.db")
    assert result.returncode == 1
    assert "the file is no UTF-8 text" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_failed_export_keeps_the_old_file(tmp_path: Path) -> None:
    backup, store = tmp_path / "backup.csv", tmp_path / "prices.db"
    backup.write_text("yesterday's")
    with Path(f"{store}.lock").open("ab") as lock:  # as a running server holds it
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = run("export", str(backup), STORE_URL=f"sqlite:///{store}")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert backup.read_text() == "yesterday's"
    assert set(tmp_path.iterdir()) <= {backup, store, Path(f"{store}.lock")}


def test_export_follows_links_and_keeps_permissions(tmp_path: Path) -> None:
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


def test_export_writes_to_pipes(tmp_path: Path) -> None:
    result = run("export", "/dev/stdout", STORE_URL="memory://")
    assert result.returncode == 0
    assert result.stdout.startswith("id,")
