"""memory:///path — the newest ticks in memory, saved to a file periodically and at the end, restored at the start.

One process at a time uses the file: of two, the last to save would overwrite what the other one saved.
"""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import structlog

from btc_price_tracker.clock import Clock, SystemClock
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import StoreOptions
from btc_price_tracker.store.failure import Failure, failure
from btc_price_tracker.store.lock import Lock
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.private import make_folder, refuse_planted, resolved, unusable
from btc_price_tracker.store.snapshot_file import Snapshot, load, save

SAVE_INTERVAL = 60.0  # seconds between snapshots, and the most that a crash loses

log = structlog.get_logger(__name__)


class SnapshotStore(MemoryStore):
    """A MemoryStore that is saved to a file.

    A crash loses at most the ticks of the last interval, a clean shutdown none. A file that can't be written is a
    failure of the snapshot alone: it is logged, and ticks are still accepted.
    """

    def __init__(
        self, path: Path, capacity: int, clock: Clock, lock: Lock, save_interval: float = SAVE_INTERVAL
    ) -> None:
        super().__init__(capacity)
        self._path = path
        self._lock = lock
        self._clock = clock
        self._save_interval = save_interval
        self._last_save = clock.monotonic()  # also a failed one
        self._fault: str | None = None  # why the last save failed; None if it succeeded
        self._is_dirty = False  # whether there are changes since the last successful save
        self._saving: asyncio.Task[None] | None = None  # in the background, until everything is saved
        self._write: asyncio.Future[None] | None = None  # the latest write to the file
        self._closing = asyncio.Lock()

    @classmethod
    async def restored(cls, path: Path, capacity: int, clock: Clock) -> Self:
        """A store with the contents of its file, if any. Raises StoreError if another process uses the file."""
        with ExitStack() as undo:
            lock = await asyncio.to_thread(_lock, path)
            undo.callback(lock.release, clean=False)
            store = cls(path, capacity, clock, lock)
            store._dropped, ticks = await asyncio.to_thread(load, path)
            await store.append(list(ticks))
            undo.pop_all()
        return store

    async def append(self, ticks: list[Tick]) -> int:
        """Add ticks without waiting for the disk; they are saved within the interval."""
        new = await super().append(ticks)
        self._save_soon(changed=new)
        return new

    async def prune(self, before: int) -> int:
        """Delete ticks with id < before, within the interval from the file as well."""
        removed = await super().prune(before)
        self._save_soon(changed=removed)
        return removed

    async def describe(self) -> str:
        """Capacity, file and interval."""
        return f"{await super().describe()}, saved in {self._path} within {self._save_interval:.0f} s"

    async def close(self) -> None:
        """Save and release everything. Raises StoreError, and stays open, if it can't be saved."""
        async with self._closing:
            if self._closed:
                return
            if self._saving is not None:
                self._saving.cancel()
            await self._save()
            await super().close()
            self._lock.release(clean=True)

    def _save_soon(self, changed: int) -> None:
        self._is_dirty |= changed > 0
        if self._is_dirty and (self._saving is None or self._saving.done()):
            self._saving = asyncio.create_task(self._save_in_background())

    async def _save_in_background(self) -> None:
        """Save the latest state once per interval until there are no more changes."""
        while self._is_dirty:
            await self._clock.sleep(self._last_save + self._save_interval - self._clock.monotonic())
            try:
                await self._save()
            except Exception as error:  # noqa: BLE001 - a bug costs the snapshot, not the price
                self._report(failure(error))
            else:
                self._report(None)

    async def _save(self) -> None:
        while self._write is not None and not self._write.done():  # one at a time, also of a cancelled caller
            await asyncio.wait({self._write})
        self._last_save, self._is_dirty = self._clock.monotonic(), False
        snapshot = Snapshot(self._dropped, self.held())
        self._write = asyncio.ensure_future(asyncio.to_thread(save, self._path, snapshot))
        self._write.add_done_callback(lambda write: write.cancelled() or write.exception())
        try:
            await asyncio.shield(self._write)
        except Exception:
            self._is_dirty = True
            raise

    def _report(self, cause: Failure | None) -> None:
        if cause is not None and cause.reason != self._fault:
            log.error("snapshot failed", reason=cause.reason, exc_info=cause.bug)
        elif cause is None and self._fault is not None:
            log.info("snapshot recovered", file=str(self._path))
        self._fault = cause and cause.reason


async def open_url(url: str, options: StoreOptions) -> MemoryStore:
    """Open `memory://`, which is empty, or `memory:///path`, restored from that file. Raises StoreError."""
    name = url.removeprefix("memory://")
    if not name:
        return MemoryStore(options.capacity)
    path = await asyncio.to_thread(_resolved, Path(name))
    return await SnapshotStore.restored(path, options.capacity, SystemClock())


def _resolved(name: Path) -> Path:
    """The path that is locked, replaced and shown: with one leading slash and without symbolic links."""
    try:
        return resolved(name)
    except OSError as error:  # a folder of another user
        raise unusable(name, error) from error


def _lock(path: Path) -> Lock:
    """Lock the snapshot, which may not exist yet. No lock is created next to special files, such as devices."""
    try:
        make_folder(path.parent)
        refuse_planted(path, path.with_name(f"{path.name}.lock"))
        return Lock(path)
    except OSError as error:
        raise unusable(path, error) from error
