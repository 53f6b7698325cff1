"""SnapshotStore: saving, restoring, and refusing foreign files."""

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import msgpack
from msgspec.structs import asdict, replace
from structlog.testing import capture_logs

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Tick
from btc_price_tracker.store import Span, open_store, snapshot
from btc_price_tracker.store.files import SNAPSHOT_HEADER
from btc_price_tracker.store.snapshot import SAVE_INTERVAL, SnapshotStore
from btc_price_tracker.store.snapshot_file import Snapshot, load, save
from btc_price_tracker.testing import ManualClock, eventually

QUOTE = AssessedQuote("kraken", Kind.EXCHANGE, last=Decimal("69420.10000"), age=12, used=True)


def tick(tick_id: int) -> Tick:
    return Tick(tick_id, Decimal("69420.10"), Status.OK, 3, Decimal("3.10"), 0, "vote3-ped/1", (QUOTE,))


def crash(_: int) -> None:
    raise OSError(28, "No space left on device")


def held(path: Path) -> list[int]:
    """The ids in a snapshot."""
    return [each.id for each in load(path).ticks]


def beside(path: Path) -> list[Path]:
    """The other files in the folder."""
    return [other for other in path.parent.iterdir() if other != path]


async def test_close_saves_everything_and_is_idempotent(tmp_path: Path) -> None:
    url = f"memory://{tmp_path}/prices.snapshot"
    store = await open_store(url, capacity=2)
    await store.append([tick(1), tick(2), tick(3)])
    await store.close()
    await store.close()
    store = await open_store(url, capacity=2)
    assert await store.get(3) == tick(3)
    assert await store.span() == Span(2, 3, 1)
    await store.close()


async def test_snapshot_is_locked_until_close(
    tmp_path: Path,
) -> None:
    path, link = tmp_path / "a" / "prices.snapshot", tmp_path / "link.snapshot"
    link.symlink_to(path)
    store = await open_store(f"memory://{path}", capacity=10)
    await store.append([tick(1)])
    for name in (path, link):
        with pytest.raises(
            StoreError, match=f"^{path} is already in use by process {os.getpid()}; stop that"
        ):
            await open_store(f"memory://{name}", capacity=10)
    await store.close()
    assert held(path) == [1]
    store = await open_store(f"memory://{link}", capacity=10)
    await store.append([tick(2)])
    await store.close()
    assert held(path) == [1, 2]
    assert link.is_symlink()


async def test_error_shows_the_path_with_one_slash(tmp_path: Path) -> None:
    path = tmp_path / "prices.snapshot"
    path.write_bytes(b"")
    with pytest.raises(StoreError, match=f"^{path} is not a snapshot of this program"):
        await open_store(f"memory:///{path}", capacity=10)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
async def test_special_file_is_refused_without_creating_a_lock(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "prices.snapshot"
    make(path)
    async with asyncio.timeout(30):
        with pytest.raises(StoreError, match=f"^{path} is not a regular file; name another one in STORE_URL"):
            await open_store(f"memory://{path}", capacity=10)
    assert beside(path) == []


async def test_impossible_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for name in ("file/prices.snapshot", "loop"):
        with pytest.raises(
            StoreError, match=f"^(the snapshot )?{tmp_path}/{name} can't be (opened|resolved|read)"
        ):
            await open_store(f"memory://{tmp_path}/{name}", capacity=10)


@pytest.mark.parametrize("version", [1, 2])
async def test_older_snapshot_is_read(tmp_path: Path, version: int) -> None:
    path = tmp_path / "prices.snapshot"
    ticks = [old_record(tick(1), age=7), old_record(tick(2), age=0)]
    body = msgpack.encode(ticks if version == 1 else (5, ticks))
    path.write_bytes(
        SNAPSHOT_HEADER + b"%d\n" % version + hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    )
    store = await open_store(f"memory://{path}", capacity=10)
    assert await store.span() == Span(1, 2, 0 if version == 1 else 5)
    assert [await store.get(each) for each in (1, 2)] == [replace(tick(1), quote_age=7000), tick(2)]
    await store.close()


def old_record(tick: Tick, age: int) -> dict[str, object]:
    """A tick as written by versions without `quote_age`."""
    fields = {**asdict(tick), "age": age}
    del fields["quote_age"], fields["recorded"]
    return fields


async def saved(path: Path, clock: ManualClock, *tick_ids: int) -> None:
    """Advance the clock by the interval, and wait until the snapshot has exactly these ids."""
    await clock.sleeping()
    await clock.advance(SAVE_INTERVAL)
    await eventually(lambda: path.exists() and held(path) == [*tick_ids])


async def test_ticks_are_saved_within_a_minute(tmp_path: Path) -> None:
    path, clock = tmp_path / "prices.snapshot", ManualClock()
    store = await SnapshotStore.restored(path, 10, clock)
    assert await store.append([tick(1), tick(2)]) == 2
    assert not path.exists()
    await saved(path, clock, 1, 2)
    await store.append([tick(3)])
    assert held(path) == [1, 2]
    await saved(path, clock, 1, 2, 3)
    await store.prune(3)
    await saved(path, clock, 3)
    assert load(path).dropped == 2
    await store.close()


async def test_unchanged_store_is_not_saved_again(tmp_path: Path) -> None:
    path, clock = tmp_path / "prices.snapshot", ManualClock()
    store = await SnapshotStore.restored(path, 10, clock)
    await store.append([tick(1)])
    await saved(path, clock, 1)
    await eventually(lambda: store._saving is not None and store._saving.done())
    assert await store.append([tick(1)]) == 0
    assert await store.prune(1) == 0
    assert store._saving is not None
    assert store._saving.done()
    await store.close()


def test_failed_write_keeps_the_previous_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prices.snapshot"
    save(path, Snapshot(0, [tick(1)]))
    monkeypatch.setattr("os.fsync", crash)
    with pytest.raises(StoreError, match="No space left"):
        save(path, Snapshot(0, [tick(1), tick(2)]))
    assert held(path) == [1]


class Disk:
    """A disk on which fsync blocks until `goes_on` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.writing: list[int] = []
        self.max_concurrent = 0  # writes
        self._fsync = os.fsync
        monkeypatch.setattr("os.fsync", self._slow)

    def _slow(self, file: int) -> None:
        self.writing.append(file)
        self.max_concurrent = max(self.max_concurrent, len(self.writing))
        self.begun.set()
        assert self.goes_on.wait(30)
        self._fsync(file)
        self.writing.remove(file)


async def test_append_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clock, disk = tmp_path / "prices.snapshot", ManualClock(), Disk(monkeypatch)
    store = await SnapshotStore.restored(path, 10, clock)
    await store.append([tick(1)])
    await clock.sleeping()
    await clock.advance(SAVE_INTERVAL)
    await asyncio.to_thread(disk.begun.wait, 30)
    for tick_id in (2, 3):
        await store.append([tick(tick_id)])  # returns while fsync blocks
        await clock.advance(SAVE_INTERVAL)
    assert len(disk.writing) == 1
    disk.goes_on.set()
    await eventually(lambda: path.exists() and held(path) == [1, 2, 3])  # the interval has already passed
    assert disk.max_concurrent == 1
    await store.close()


async def test_close_waits_for_a_save_and_saves_later_ticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock, disk = tmp_path / "prices.snapshot", ManualClock(), Disk(monkeypatch)
    store = await SnapshotStore.restored(path, 10, clock)
    await store.append([tick(1)])
    await clock.sleeping()
    await clock.advance(SAVE_INTERVAL)
    await asyncio.to_thread(disk.begun.wait, 30)
    await store.append([tick(2)])
    cancelled, *closing = (asyncio.create_task(store.close()) for _ in range(3))
    for _ in range(5):
        await asyncio.sleep(0)
    cancelled.cancel()
    disk.goes_on.set()
    await asyncio.gather(*closing)
    assert disk.max_concurrent == 1
    assert held(path) == [1, 2]


async def test_nothing_is_saved_after_close(tmp_path: Path) -> None:
    path, clock = tmp_path / "prices.snapshot", ManualClock()
    store = await SnapshotStore.restored(path, 10, clock)
    await store.append([tick(1)])
    await clock.sleeping()
    await store.close()
    await clock.advance(2 * SAVE_INTERVAL)
    assert store._saving is not None
    assert store._saving.cancelled()
    assert held(path) == [1]


async def test_full_disk_is_logged_once_and_loses_no_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock = tmp_path / "prices.snapshot", ManualClock()
    store = await SnapshotStore.restored(path, 10, clock)
    with capture_logs() as logs:
        with monkeypatch.context() as full:
            full.setattr("os.fsync", crash)
            for tick_id in (1, 2, 3):
                await store.append([tick(tick_id)])
                await clock.sleeping()
                await clock.advance(SAVE_INTERVAL)
            await clock.sleeping()
            assert len(await store.newest(10)) == 3
            with pytest.raises(StoreError, match="No space left on device; check its disk and its folder"):
                await store.close()
        await store.append([tick(4)])
        await saved(path, clock, 1, 2, 3, 4)
        await eventually(lambda: len(logs) == 2)
    assert [(entry["log_level"], entry["event"]) for entry in logs] == [
        ("error", "snapshot failed"),
        ("info", "snapshot recovered"),
    ]
    assert logs[0]["reason"].startswith(f"the snapshot {path} can't be written: No space left")
    await store.close()


async def test_bug_in_saving_is_logged_and_loses_no_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = KeyError("price")

    def buggy(*_: object) -> None:
        raise bug

    clock = ManualClock()
    store = await SnapshotStore.restored(tmp_path / "prices.snapshot", 10, clock)
    with capture_logs() as logs, monkeypatch.context() as broken:
        broken.setattr(snapshot, "save", buggy)
        await store.append([tick(1)])
        await clock.sleeping()
        await clock.advance(SAVE_INTERVAL)
        await eventually(lambda: logs)
    assert logs[0]["exc_info"] is bug
    await store.append([tick(2)])
    await store.close()


async def test_encoding_releases_the_gil_between_ticks(tmp_path: Path) -> None:
    turn = threading.Semaphore(0)
    turns: list[Tick] = []

    class Waiting(list[Tick]):
        def __iter__(self) -> Iterator[Tick]:
            for each in super().__iter__():
                assert turn.acquire(timeout=30)
                turns.append(each)
                yield each

    path, ticks = tmp_path / "prices.snapshot", [tick(1), tick(2), tick(3)]
    saving = asyncio.create_task(asyncio.to_thread(save, path, Snapshot(0, Waiting(ticks))))
    while not saving.done():
        turn.release()
        await asyncio.sleep(0)
    await saving
    assert turns == ticks


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-1], "damaged"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "damaged"),
        (lambda content: content.replace(b"snapshot 3", b"snapshot 4", 1), "another version"),
        (lambda _: b"SQLite format 3\0", "not a snapshot of this program"),
        (lambda _: b"", "not a snapshot of this program"),
    ],
)
async def test_damaged_or_foreign_file_is_refused_and_kept(
    tmp_path: Path, damage: object, reason: str
) -> None:
    path = tmp_path / "prices.snapshot"
    save(path, Snapshot(0, [tick(1)]))
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=reason):
        await open_store(f"memory://{path}", capacity=10)
    assert path.read_bytes() == before
