"""Files of a store are never overwritten, by any name."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store import open_store
from btc_price_tracker.store.files import refuse_store_file

TICK = Tick(1, Decimal("1.00"), Status.OK, 3, Decimal("0.10"), 0, "vote3/1")
ELSEWHERE = "postgresql://localhost/prices"


@asynccontextmanager
async def in_use(url: str) -> AsyncIterator[None]:
    """A store that is open."""
    store = await open_store(url, capacity=10)
    await store.append([TICK])
    yield
    await store.close()


@pytest.fixture(params=["sqlite:///{}/prices.db", "memory://{}/prices.db"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    form: str = request.param
    return form.format(tmp_path)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal", ".lock", ".new"])
async def test_files_of_the_configured_store_are_refused(tmp_path: Path, url: str, suffix: str) -> None:
    path = tmp_path / f"prices.db{suffix}"
    store = tmp_path / "prices.db"
    message = f"^{path} belongs to the store {store} and isn't overwritten; name another file"
    with pytest.raises(StoreError, match=message):
        refuse_store_file(path, url)  # also before they exist
    async with in_use(url):
        with pytest.raises(StoreError, match=message):
            refuse_store_file(path, url)


@pytest.mark.parametrize("make", [Path.symlink_to, Path.hardlink_to])
async def test_link_to_the_store_is_refused(
    tmp_path: Path, url: str, make: Callable[[Path, Path], None]
) -> None:
    async with in_use(url):
        pass
    link = tmp_path / "link.csv"
    make(link, tmp_path / "prices.db")
    with pytest.raises(StoreError, match="isn't overwritten"):
        refuse_store_file(link, url)


async def test_link_to_the_lock_is_refused(tmp_path: Path, url: str) -> None:
    async with in_use(url):
        pass
    link = tmp_path / "link.csv"
    link.hardlink_to(tmp_path / "prices.db.lock")
    with pytest.raises(StoreError, match="isn't overwritten"):
        refuse_store_file(link, url)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", ".lock", ".new"])
async def test_files_of_another_store_are_refused(tmp_path: Path, url: str, suffix: str) -> None:
    async with in_use(url):
        pass
    async with in_use(url):  # a snapshot exists after its first close
        with pytest.raises(StoreError, match=f"belongs to the store {tmp_path}/prices.db"):
            refuse_store_file(tmp_path / f"prices.db{suffix}", ELSEWHERE)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("url", ["sqlite:///prices.db", "sqlite:///~/prices.db"])
def test_relative_and_home_paths_are_resolved(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreError, match="isn't overwritten"):
        refuse_store_file(tmp_path / "prices.db", url)


def test_any_sqlite_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreError, match="isn't overwritten"):
        refuse_store_file(path, ELSEWHERE)


@pytest.mark.parametrize("content", [None, b"", b"id,timestamp,price\n", b"\xff\xfe", b"SQLite"])
def test_other_files_are_accepted(tmp_path: Path, url: str, content: bytes | None) -> None:
    path = tmp_path / "prices.csv"
    if content is not None:
        path.write_bytes(content)
    for store in (url, ELSEWHERE, "memory://"):
        refuse_store_file(path, store)
