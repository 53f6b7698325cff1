"""memory:///path — the last ticks in memory, and now and then in a file, from which the next start goes on.

One process has the file at a time: of two, the last to save would undo what the other kept.
"""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import structlog

from btc_price_tracker.clock import Clock, SystemClock
from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Limits
from btc_price_tracker.store.failure import Failure, failure
from btc_price_tracker.store.lock import Lock
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.snapshot_file import Snapshot, load, save

EVERY = 60.0  # seconds from one snapshot to the next, and the most that a crash loses

log = structlog.get_logger(__name__)


class SnapshotStore(MemoryStore):
    """A MemoryStore that loses what came after its last good snapshot.

    That is a minute at most to a crash, and nothing to a proper end, as long as the disk takes what it is given. What
    the disk doesn't take is a fault of the snapshot alone: it is logged, and prices go on.
    """

    def __init__(self, path: Path, capacity: int, clock: Clock, lock: Lock) -> None:
        super().__init__(capacity)
        self._path = path
        self._lock = lock
        self._clock = clock
        self._saved = clock.monotonic()  # when the last snapshot was taken, or tried
        self._fault: str | None = None  # why the last snapshot wasn't written; None where it was
        self._is_ahead = False  # whether more has changed than the last good snapshot has
        self._saving: asyncio.Task[None] | None = (
            None  # in the background, for as long as there is something to save
        )
        self._write: asyncio.Future[None] | None = None  # the last to write the file
        self._closing = asyncio.Lock()

    @classmethod
    async def restored(cls, path: Path, capacity: int, clock: Clock) -> Self:
        """A store that goes on from its snapshot, if there is one. Raises StoreError where another process has it."""
        with ExitStack() as undo:
            lock = await asyncio.to_thread(_lock, path)
            undo.callback(lock.release, clean=False)
            store = cls(path, capacity, clock, lock)
            store._dropped, ticks = await asyncio.to_thread(load, path)
            await store.append(list(ticks))
            undo.pop_all()
        return store

    async def append(self, ticks: list[Tick]) -> int:
        """Keep these ticks, which never waits for the disk; they are in a file within a minute."""
        new = await super().append(ticks)
        self._save_soon(changed=new)
        return new

    async def prune(self, before: int) -> int:
        """Drop ticks with id < before, within a minute from the file as well."""
        gone = await super().prune(before)
        self._save_soon(changed=gone)
        return gone

    async def describe(self) -> str:
        """Where it is saved, as well."""
        return f"{await super().describe()}; saved in {self._path} within {EVERY:.0f} s"

    async def close(self) -> None:
        """Save, and forget everything. Raises StoreError, and stays open, where it can't be saved."""
        async with self._closing:
            if self._closed:
                return
            if self._saving is not None:
                self._saving.cancel()
            await self._save()
            await super().close()
            self._lock.release(clean=True)

    def _save_soon(self, changed: int) -> None:
        self._is_ahead |= changed > 0
        if self._is_ahead and (self._saving is None or self._saving.done()):
            self._saving = asyncio.create_task(self._save_in_background())

    async def _save_in_background(self) -> None:
        """Once a minute, until the file has everything: the newest state each time."""
        while self._is_ahead:
            await self._clock.sleep(self._saved + EVERY - self._clock.monotonic())
            try:
                await self._save()
            except Exception as error:  # noqa: BLE001 - a bug costs the snapshot, not the price
                self._report(failure(error))
            else:
                self._report(None)

    async def _save(self) -> None:
        while self._write is not None and not self._write.done():  # its caller may be gone: one at a time
            await asyncio.wait({self._write})
        self._saved, self._is_ahead = self._clock.monotonic(), False
        snapshot = Snapshot(self._dropped, self.held())
        self._write = asyncio.ensure_future(asyncio.to_thread(save, self._path, snapshot))
        self._write.add_done_callback(lambda write: write.cancelled() or write.exception())
        try:
            await asyncio.shield(self._write)
        except Exception:
            self._is_ahead = True
            raise

    def _report(self, why: Failure | None) -> None:
        if why is not None and why.reason != self._fault:
            log.error("snapshot not saved; a crash would lose prices", reason=why.reason, exc_info=why.bug)
        elif why is None and self._fault is not None:
            log.info("snapshot saved again", file=str(self._path))
        self._fault = why and why.reason


async def open_url(url: str, limits: Limits) -> MemoryStore:
    """`memory://`, empty, or `memory:///path`, which goes on from its snapshot. Raises StoreError as `load` does."""
    name = url.removeprefix("memory://")
    if not name:
        return MemoryStore(limits.capacity)
    path = await asyncio.to_thread(_resolved, Path(name))
    return await SnapshotStore.restored(path, limits.capacity, SystemClock())


def _resolved(name: Path) -> Path:
    """The path that is locked, replaced and shown: with one slash in front and no link in it."""
    try:
        return name.resolve()
    except (RuntimeError, OSError) as error:  # a link that leads to itself
        raise StoreError(f"{name} leads nowhere; name another file in STORE_URL") from error


def _lock(path: Path) -> Lock:
    """Lock a snapshot, or where one will be; beside what can't be one, such as a device, no lock is put."""
    try:
        if path.exists() and not path.is_file():
            raise StoreError(f"{path} is no regular file; name another in STORE_URL")
        path.parent.mkdir(parents=True, exist_ok=True)
        return Lock(path)
    except OSError as error:
        raise StoreError(f"{path} can't be opened: {error.strerror}; check its folder") from error
