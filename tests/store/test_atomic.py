"""Atomic replacement: permissions, symbolic links, and leftover temporary files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from btc_price_tracker.store.atomic import atomic_write


@pytest.fixture(autouse=True)
def lax_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def write(path: Path) -> None:
    with atomic_write(path, path.with_name("temporary")) as file:
        file.write(b"new")


def test_new_file_is_private(tmp_path: Path) -> None:
    write(tmp_path / "file")
    assert mode(tmp_path / "file") == 0o600


def test_permissions_of_a_replaced_file_are_preserved(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(0o640)
    write(path)
    assert (mode(path), path.read_bytes()) == (0o640, b"new")


def test_symlink_at_the_temporary_path_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "temporary").symlink_to(target)
    write(tmp_path / "file")
    assert target.read_text() == "precious"
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not (tmp_path / "file").is_symlink()


def test_symlink_created_concurrently_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.write_text("precious")

    def plant(temporary: Path, **_: bool) -> None:
        temporary.symlink_to(target)

    monkeypatch.setattr(Path, "unlink", plant)
    with pytest.raises(FileExistsError):
        write(tmp_path / "file")
    assert target.read_text() == "precious"


def test_leftover_temporary_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "temporary").write_text("half")
    write(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
