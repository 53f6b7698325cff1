"""SqliteStore: its file, damage, locks, lost files, and concurrency."""

import asyncio
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Tick
from btc_price_tracker.store import OPERATION_TIMEOUT, PRUNE_BATCH, Span, open_store
from btc_price_tracker.store.paging import pages
from btc_price_tracker.store.sqlite import SqliteStore, candles, rows
from btc_price_tracker.store.sqlite.schema import APPLICATION_ID, MIGRATIONS


def ticks(*tick_ids: int) -> list[Tick]:
    quotes = (AssessedQuote(source="kraken", kind=Kind.EXCHANGE, last=Decimal("1.0")),)
    return [
        Tick(each, Decimal("1.00"), Status.OK, 3, Decimal("0.10"), 0, "vote3/1", quotes) for each in tick_ids
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prices.db"


@asynccontextmanager
async def opened(path: Path, operation_timeout: float = OPERATION_TIMEOUT) -> AsyncIterator[SqliteStore]:
    store = await open_store(f"sqlite:///{path}", capacity=1, operation_timeout=operation_timeout)
    assert isinstance(store, SqliteStore)
    try:
        yield store
    finally:
        await store.close()


async def ids(store: SqliteStore) -> list[int]:
    return [tick.id async for page in pages(store, 0) for tick in page]


def put(path: Path, body: bytes) -> None:
    path.write_bytes(body)


def contents(path: Path) -> bytes:
    return path.read_bytes()


@contextmanager
def foreign(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of another program."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


async def test_folders_are_created_and_close_removes_the_wal(tmp_path: Path) -> None:
    async with opened(tmp_path / "a" / "b" / "prices.db") as store:
        await store.append(ticks(1))
    assert sorted(left.name for left in (tmp_path / "a" / "b").iterdir()) == ["prices.db", "prices.db.lock"]


async def test_path_after_three_slashes_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = await open_store("sqlite:///here.db", capacity=1)
    await store.close()
    assert (tmp_path / "here.db").exists()


async def test_journal_is_wal_with_synchronous_normal(path: Path) -> None:
    async with opened(path) as store:
        writer = store._writer.connection
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert writer.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL


# Foreign files


async def test_foreign_database_is_refused_and_left_unchanged(path: Path) -> None:
    with foreign(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = contents(path)
    with pytest.raises(StoreError, match="the database of another program"):
        await open_store(f"sqlite:///{path}", capacity=1)
    assert contents(path) == before


async def test_foreign_application_id_is_refused(path: Path) -> None:
    with foreign(path) as connection:
        connection.execute("PRAGMA application_id = 7")
    with pytest.raises(StoreError, match="the database of another program"):
        await open_store(f"sqlite:///{path}", capacity=1)


async def test_newer_schema_is_refused(path: Path) -> None:
    async with opened(path) as store:
        await store.append(ticks(1))
    with foreign(path) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(
        StoreError, match=rf"newer version \(schema {len(MIGRATIONS) + 1}, this version supports"
    ):
        await open_store(f"sqlite:///{path}", capacity=1)


async def test_first_schema_is_migrated_with_its_ticks(path: Path) -> None:
    with foreign(path) as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("INSERT INTO methods VALUES (1, 'vote3/1')")
        connection.execute("INSERT INTO ticks VALUES (1, 100, 0, 3, 10, 0, 1), (2, 300, 0, 3, 10, 0, 1)")
        connection.execute("INSERT INTO ticks VALUES (3, 200, 0, 3, 10, 0, 1), (4, 900, 3, 0, 10, 7, 1)")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
    async with opened(path) as store:
        assert await ids(store) == [1, 2, 3, 4]
        (candle,) = await store.candles(900, 0, 0, 1)
        assert (candle.open, candle.high, candle.low, candle.close) == tuple(map(Decimal, (1, 3, 1, 2)))
        assert candle.count == 3
        assert [each.quote_age for each in await store.newest(2)] == [0, 7000]
        await store.append([replace(tick, quote_age=1234) for tick in ticks(5)])
        assert [each.quote_age for each in await store.newest(1)] == [1234]


async def test_empty_file_becomes_a_database(path: Path) -> None:
    put(path, b"")
    async with opened(path) as store:
        await store.append(ticks(1))
        assert await ids(store) == [1]


# Damage


async def filled(path: Path) -> bytes:
    """Create an intact file of several pages; returns its bytes."""
    async with opened(path) as store:
        await store.append(ticks(*range(1, 2001)))
    return contents(path)


def no_database(whole: bytes) -> bytes:
    return b"not a database " * 3000


def overwritten(whole: bytes) -> bytes:
    return whole[:8192] + b"\xa5" * 16384 + whole[24576:]


def torn(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def as_if_killed(path: Path) -> None:
    """The lock records no clean shutdown."""
    path.with_name("prices.db.lock").write_bytes(b"4711\n")


def as_if_copied(path: Path) -> None:
    """There is no lock, as after copying the file."""
    path.with_name("prices.db.lock").unlink()


@pytest.mark.parametrize(
    ("damage", "end"),
    [
        *product([no_database, overwritten, torn], [as_if_killed]),
        *product([overwritten, torn], [as_if_copied]),
    ],
)
async def test_damaged_file_is_renamed_and_replaced(
    path: Path, damage: Callable[[bytes], bytes], end: Callable[[Path], None]
) -> None:
    damaged = damage(await filled(path))
    put(path, damaged)
    end(path)
    with capture_logs() as logs:
        async with opened(path) as store:
            await store.append(ticks(5000))
            assert await ids(store) == [5000]
    (aside,) = path.parent.glob("prices.db.damaged-*Z")
    assert contents(aside) == damaged
    assert [(log["log_level"], log["renamed_to"]) for log in logs] == [("warning", str(aside))]


@pytest.mark.parametrize("damage", [no_database, torn])
async def test_obvious_damage_is_detected_after_a_clean_shutdown(
    path: Path, damage: Callable[[bytes], bytes]
) -> None:
    put(path, damage(await filled(path)))
    async with opened(path) as store:
        assert await ids(store) == []


async def test_damage_found_by_a_query_is_replaced_at_restart(path: Path) -> None:
    damaged = overwritten(await filled(path))
    put(path, damaged)
    async with opened(path) as store:
        with pytest.raises(StoreError, match="the file is damaged; restart, and it is renamed and replaced"):
            await ids(store)
    async with opened(path) as store:
        assert await ids(store) == []
    (aside,) = path.parent.glob("prices.db.damaged-*Z")
    assert contents(aside) == damaged


async def test_integrity_check_runs_only_after_an_unclean_shutdown(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    connect = sqlite3.connect

    def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    checks = []
    await filled(path)
    for end in (lambda _: None, as_if_killed, lambda _: None):
        end(path)
        statements.clear()
        async with opened(path) as store:
            assert len(await store.newest(9)) == 9
        checks.append(sum("quick_check" in statement for statement in statements))
    assert checks == [0, 1, 0]


async def test_other_file_is_refused_and_left_unchanged(path: Path) -> None:
    put(path, b"text, not a database")
    for _ in range(2):
        with pytest.raises(StoreError, match="is not a database; name another file"):
            await open_store(f"sqlite:///{path}", capacity=1)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert contents(path) == b"text, not a database"


@pytest.mark.parametrize("name", ["~no-such-user/prices.db", "loop"])
def test_unresolvable_path_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(StoreError, match=r"can't be (resolved|opened)"):  # from Python 3.13 on, the latter
        asyncio.run(open_store(f"sqlite:///{name}", capacity=1))


async def test_wal_of_a_damaged_file_is_renamed_with_it(path: Path) -> None:
    whole = await filled(path)
    put(path, no_database(whole))
    wal = path.with_name("prices.db-wal")
    put(wal, b"the wal")
    async with opened(path) as store:
        assert await ids(store) == []
    (aside,) = path.parent.glob("prices.db.damaged-*Z")
    assert contents(aside.with_name(f"{aside.name}-wal")) == b"the wal"


async def test_damaged_quotes_affect_only_their_tick(path: Path) -> None:
    async with opened(path) as store:
        await store.append(ticks(1, 2))
        with foreign(path) as connection:
            connection.execute("UPDATE quotes SET body = x'00' WHERE id = 1")
        with pytest.raises(StoreError, match="tick 1: quotes in an unknown format"):
            await store.get(1)
        assert await store.get(2) == ticks(2)[0]
        assert await ids(store) == [1, 2]


# Files that can't be written


async def test_full_disk_is_named_and_recovers(path: Path) -> None:
    async with opened(path) as store:
        await store.append(ticks(1))
        writer = store._writer.connection
        (pages,) = writer.execute("PRAGMA page_count").fetchone()
        writer.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match=r"the disk is full; free space"):
            await store.append(ticks(*range(2, 1000)))
        assert await ids(store) == [1]  # all or none
        writer.execute("PRAGMA max_page_count = 1000000")
        await store.append(ticks(*range(2, 1000)))
        assert await ids(store) == [*range(1, 1000)]


async def test_read_only_file_is_named_and_recovers(path: Path) -> None:
    async with opened(path) as store:
        writer = store._writer.connection
        writer.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError, match=r"the file is read-only; grant this user write access"):
            await store.append(ticks(1))
        writer.execute("PRAGMA query_only = OFF")
        await store.append(ticks(1))
        assert await ids(store) == [1]


@contextmanager
def unprivileged() -> Iterator[None]:
    """Apply file permissions also if the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_unwritable_file_is_refused_with_the_remedy() -> None:
    with tempfile.TemporaryDirectory() as folder:  # the unprivileged user can't read tmp_path
        path = Path(folder) / "prices.db"
        await filled(path)
        path.chmod(0o444)
        path.with_name("prices.db.lock").chmod(0o666)
        path.parent.chmod(0o555)
        with (
            unprivileged(),
            pytest.raises(StoreError, match=r"prices\.db: the file (is read-only|can't be opened);"),
        ):
            await open_store(f"sqlite:///{path}", capacity=1)
        path.parent.chmod(0o755)


async def test_unwritable_lock_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prices.db"
        await filled(path)
        path.parent.chmod(0o755)
        path.with_name("prices.db.lock").chmod(0o444)
        with (
            unprivileged(),
            pytest.raises(StoreError, match=r"Permission denied; check \S*/prices\.db\.lock and"),
        ):
            await open_store(f"sqlite:///{path}", capacity=1)


async def test_impossible_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"can't be opened: (Not a directory|File exists)"):
        await open_store(f"sqlite:///{tmp_path}/file/prices.db", capacity=1)
    with pytest.raises(StoreError, match="is not a regular file; name another one"):
        await open_store(f"sqlite:///{tmp_path}", capacity=1)


async def test_lock_of_another_program_is_named(path: Path) -> None:
    async with opened(path, operation_timeout=0.01) as store:
        with foreign(path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="locked by another program"):
                await store.append(ticks(1))
        await store.append(ticks(1))


# Files that are deleted, moved or overwritten while in use


def deleted(path: Path) -> None:
    path.unlink()


def moved_away(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def moved_back(path: Path) -> None:
    path.with_name("moved.db").rename(path)


def folder_removed(path: Path) -> None:
    shutil.rmtree(path.parent)


def replaced_by_a_copy(path: Path) -> None:
    path.with_name("copy.db").rename(path)


def wal_deleted(path: Path) -> None:
    path.with_name("prices.db-wal").unlink()


def emptied(path: Path) -> None:
    os.truncate(path, 0)
    os.truncate(path.with_name("prices.db-wal"), 0)


def overwritten_by_an_older_one(path: Path) -> None:
    put(path, contents(path.with_name("copy.db")))


def overwritten_by_a_backup(path: Path) -> None:
    """A backup by SQLite, whose header differs: it has no WAL."""
    with foreign(path.with_name("copy.db")) as copy:
        copy.execute("VACUUM INTO ?", (str(path.with_name("backup.db")),))
    put(path, contents(path.with_name("backup.db")))


def overwritten_by_text(path: Path) -> None:
    put(path, b"text, not a database" * 1000)


REMOVALS = [deleted, moved_away, folder_removed, replaced_by_a_copy, wal_deleted]
OVERWRITES = [emptied, overwritten_by_an_older_one, overwritten_by_a_backup, overwritten_by_text]


@pytest.fixture
async def grown(tmp_path: Path) -> Path:
    """A database in a folder of its own, with an older copy of it, copy.db."""
    path = tmp_path / "data" / "prices.db"
    await filled(path)
    path.with_name("copy.db").write_bytes(contents(path))
    async with opened(path) as store:
        await store.append(ticks(*range(2001, 5001)))
    return path


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        *product(
            REMOVALS, ["the file was deleted, moved or replaced while in use; move it back, or restart"]
        ),
        *product(
            OVERWRITES, ["the file was overwritten or truncated while in use; stop the server, restore"]
        ),
    ],
)
async def test_lost_file_raises_on_append_and_prune(
    grown: Path, loss: Callable[[Path], None], message: str
) -> None:
    async with opened(grown) as store:
        await store.append(ticks(5001))
        loss(grown)
        for _ in range(2):
            with pytest.raises(StoreError, match=message):
                await store.append(ticks(5002))
        with pytest.raises(StoreError, match=message):
            await store.prune(100)
    async with opened(grown) as store:
        await store.append(ticks(6000))
        assert (await store.newest(1))[0].id == 6000


async def test_overwriting_with_a_recent_copy_is_detected(grown: Path) -> None:
    async with opened(grown) as store:
        earlier = contents(grown)
        await store.append(ticks(*range(5001, 8001)))
        with foreign(grown) as connection:
            connection.execute("PRAGMA wal_checkpoint")  # as SQLite does every 1000 pages
        await store.append(ticks(8001))
        put(grown, earlier)
        with pytest.raises(StoreError, match="the file was overwritten"):
            await store.append(ticks(8002))


async def test_file_that_is_moved_back_recovers(grown: Path) -> None:
    async with opened(grown) as store:
        moved_away(grown)
        with pytest.raises(StoreError):
            await store.append(ticks(5001))
        moved_back(grown)
        await store.append(ticks(5001))
    async with opened(grown) as store:
        assert (await store.span()).last == 5001


async def test_moved_file_is_complete_and_its_wal_is_empty(
    grown: Path,
) -> None:
    moved, wal = grown.with_name("moved.db"), grown.with_name("prices.db-wal")
    async with opened(grown) as store:
        await store.append(ticks(5001))
        moved_away(grown)
        with pytest.raises(StoreError):
            await store.append(ticks(5002))
        assert contents(wal) == b""  # nothing that SQLite could apply to another file at this path
    async with opened(moved) as store:
        assert await ids(store) == [*range(1, 5002)]


async def test_lost_file_is_checked_at_restart(grown: Path) -> None:
    async with opened(grown) as store:
        await store.append(ticks(5001))
        put(grown, overwritten(contents(grown.with_name("copy.db"))))
    with capture_logs() as logs:
        async with opened(grown) as store:
            assert await ids(store) == []
    assert [log["log_level"] for log in logs] == ["warning"]


async def test_changes_by_other_programs_through_sqlite_are_accepted(grown: Path) -> None:
    async with opened(grown) as store:
        await store.prune(4000)
        with foreign(grown) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        await store.append(ticks(*range(5001, 8001)))
        with foreign(grown) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        await store.append(ticks(8001))
        assert await ids(store) == [*range(4000, 8002)]


# Concurrency


async def test_file_is_locked_until_close(path: Path) -> None:
    async with opened(path) as store:
        await store.append(ticks(1))
        with pytest.raises(StoreError, match=f"already in use by process {os.getpid()}; stop that"):
            await open_store(f"sqlite:///{path}", capacity=1)
        link = path.with_name("link.db")
        link.symlink_to(path)
        with pytest.raises(StoreError, match="already in use"):
            await open_store(f"sqlite:///{link}", capacity=1)
        await store.append(ticks(2))  # the refused ones have not released SQLite's own locks
    async with opened(path) as store:
        assert await ids(store) == [1, 2]


async def test_append_does_not_wait_for_a_read(path: Path) -> None:
    async with opened(path) as store:
        await store.append(ticks(*range(1, 1001)))
        reading, done = threading.Event(), threading.Event()

        def long_read(connection: sqlite3.Connection) -> int:
            cursor = connection.execute("SELECT id FROM ticks")
            cursor.fetchone()
            reading.set()
            done.wait(30)
            return 1 + len(cursor.fetchall())

        read = asyncio.create_task(store._reader.run(long_read))
        await asyncio.to_thread(reading.wait, 30)
        await store.append(ticks(1001))
        assert await store.prune(500) == 499
        assert not read.done()
        done.set()
        assert await read == 1000  # a consistent read as of its start


async def test_reads_do_not_wait_for_the_writer(path: Path) -> None:
    async with opened(path) as store:
        await store.append(ticks(1))
        done = threading.Event()
        write = asyncio.create_task(store._writer.run(lambda _: done.wait(30)))
        await asyncio.sleep(0)  # it occupies the writer's thread
        assert await store.span() == Span(1, 1, 0)
        assert await store.get(1) == ticks(1)[0]
        assert len(await store.newest(1)) == 1
        assert await ids(store) == [1]
        assert not write.done()
        done.set()
        await write


async def test_reads_do_not_wait_for_candles(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def slow(*_: object) -> list[Candle]:
        done.wait(30)
        return []

    monkeypatch.setattr(candles, "candles", slow)
    async with opened(path) as store:
        await store.append(ticks(1))
        charting = asyncio.create_task(store.candles(60, 0, 60, 1))
        await asyncio.sleep(0)  # it occupies its thread
        assert await store.span() == Span(1, 1, 0)
        assert await ids(store) == [1]
        assert not charting.done()
        done.set()
        assert await charting == []


async def test_append_waits_for_one_batch_of_prune_at_most(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    delete_batch, insert = rows.delete_batch, rows.insert

    def traced_batch(connection: sqlite3.Connection, before: int, batch: int) -> int:
        order.append("batch")
        return delete_batch(connection, before, batch)

    def traced_insert(connection: sqlite3.Connection, batch: list[Tick]) -> None:
        order.append("append")
        insert(connection, batch)

    async with opened(path) as store:
        await store.append(ticks(*range(1, 5 * PRUNE_BATCH + 1)))
        monkeypatch.setattr(rows, "delete_batch", traced_batch)
        monkeypatch.setattr(rows, "insert", traced_insert)
        pruning = asyncio.create_task(store.prune(5 * PRUNE_BATCH + 1))
        await asyncio.sleep(0)  # its first batch is submitted
        await store.append(ticks(10**9))
        assert await pruning == 5 * PRUNE_BATCH
        assert order[:3] == ["batch", "append", "batch"]
        assert await ids(store) == [10**9]


async def test_cancelled_append_is_all_or_nothing(path: Path) -> None:
    async with opened(path) as store:
        appends = [asyncio.create_task(store.append(ticks(at, at + 1))) for at in range(1, 101, 2)]
        await asyncio.sleep(0)
        for append in appends:
            append.cancel()
        await asyncio.gather(*appends, return_exceptions=True)
        stored = await ids(store)
        assert all(at + 1 in stored for at in stored if at % 2)
        await store.append(ticks(1000))
        assert (await ids(store))[-1] == 1000
