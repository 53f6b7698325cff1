"""Files of stores are private unless the operator changes their permissions, and no symbolic link is followed."""

import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store import open_store

TICK = Tick(1, Decimal("1.00"), Status.OK, 3, Decimal("0.10"), 0, "vote3/1")
KINDS = ["sqlite:///{}/prices", "memory://{}/prices"]


@pytest.fixture(autouse=True, params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    form: str = request.param
    return form.format(tmp_path)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def share_with_group(folder: Path) -> None:
    for path in folder.iterdir():
        path.chmod(0o640)


async def test_new_files_are_private(tmp_path: Path, url: str) -> None:
    store = await open_store(url, capacity=10)
    await store.append([TICK])
    while_open = modes(tmp_path)
    await store.close()
    assert set(modes(tmp_path)) == {"prices", "prices.lock"}
    assert set(while_open) >= ({"prices-wal", "prices-shm"} if url.startswith("sqlite") else {"prices.lock"})
    assert {*while_open.values(), *modes(tmp_path).values()} == {0o600}


async def test_new_folders_are_private(tmp_path: Path, url: str) -> None:
    store = await open_store(url.replace("prices", "a/b/prices"), capacity=10)
    await store.close()
    assert {**modes(tmp_path), **modes(tmp_path / "a")} == {"a": 0o700, "b": 0o700}


async def test_existing_folders_keep_their_permissions(tmp_path: Path, url: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o750)
    store = await open_store(url.replace("prices", "a/prices"), capacity=10)
    await store.close()
    assert modes(tmp_path) == {"a": 0o750}


async def test_changed_permissions_are_preserved(tmp_path: Path, url: str) -> None:
    for _ in range(2):
        store = await open_store(url, capacity=10)
        await store.append([TICK])
        await store.close()
        share_with_group(tmp_path)
    store = await open_store(url, capacity=10)
    await store.append([TICK])
    assert set(modes(tmp_path).values()) == {0o640}
    await store.close()
    assert set(modes(tmp_path).values()) == {0o640}


async def test_new_database_has_permissions_of_the_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "prices"
    path.write_bytes(b"x" * 8192)
    path.chmod(0o640)
    (tmp_path / "prices.lock").touch()
    store = await open_store(f"sqlite:///{path}", capacity=10)
    await store.close()
    assert modes(tmp_path)["prices"] == 0o640
    assert len(modes(tmp_path)) == 3


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".lock"])
@pytest.mark.parametrize("dangling", [False, True])
async def test_symlink_beside_a_database_is_refused(tmp_path: Path, suffix: str, *, dangling: bool) -> None:
    target, link = tmp_path / "target", tmp_path / f"prices{suffix}"
    if not dangling:
        target.write_text("precious")
    link.symlink_to(target)
    with pytest.raises(StoreError, match=rf"prices{suffix} is a symbolic link; delete it"):
        await open_store(f"sqlite:///{tmp_path}/prices", capacity=10)
    assert target.exists() is not dangling
    assert dangling or target.read_text() == "precious"


@pytest.mark.parametrize("suffix", ["", ".lock"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
async def test_special_file_is_refused(
    tmp_path: Path, url: str, suffix: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / f"prices{suffix}")
    with pytest.raises(StoreError, match=rf"prices{suffix} is not a regular file"):
        await open_store(url, capacity=10)


async def test_a_file_that_is_no_lock_is_not_overwritten(tmp_path: Path, url: str) -> None:
    """A hard link, for example, which can't be told from a file of its own."""
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "prices.lock").hardlink_to(target)
    with pytest.raises(StoreError, match=r"prices\.lock is not a lock of this program; move it away"):
        await open_store(url, capacity=10)
    assert target.read_text() == "precious"


async def test_symlink_as_lock_is_refused(tmp_path: Path, url: str) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "prices.lock").symlink_to(target)
    with pytest.raises(StoreError, match=r"prices\.lock is a symbolic link; delete it"):
        await open_store(url, capacity=10)
    assert target.read_text() == "precious"


async def test_symlink_as_next_snapshot_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "prices.new").symlink_to(target)
    store = await open_store(f"memory://{tmp_path}/prices", capacity=10)
    await store.append([TICK])
    await store.close()
    assert target.read_text() == "precious"
    assert not (tmp_path / "prices").is_symlink()
