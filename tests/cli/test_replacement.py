"""A file is replaced whole, or not at all, and never where it is a part of a store."""

from pathlib import Path

import pytest

from btc_price_tracker.cli.replacement import replacing
from btc_price_tracker.errors import StoreError

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
