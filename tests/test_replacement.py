"""A file is replaced whole, or not at all."""

from pathlib import Path

import pytest

from btc_price_tracker.replacement import replacing


def test_who_is_interrupted_leaves_the_old_file_whole_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(str(path)):
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_until_the_end_the_old_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(str(path)) as file:
        file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
