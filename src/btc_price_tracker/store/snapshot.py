"""memory:///path — the last ticks in memory, and now and then in a file, from which the next start goes on.

The file is a line that names it and its version, a line with the SHA-256 of the rest, and a Snapshot as MessagePack;
in version 1 the ticks alone, and up to version 2 with their age in seconds. It is replaced in one step, so a crash
leaves the one before. One process has it at a time: of two, the last to save would undo what the other kept.
"""

import asyncio
import hashlib
import os
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

from msgspec.msgpack import Decoder, Encoder

from btc_price_tracker.clock import Clock, SystemClock
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Limits, StoreError
from btc_price_tracker.store.lock import Lock
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.written import WrittenTick

EVERY = 60.0  # seconds between snapshots, at least
NAME = b"btc-price-tracker snapshot "
VERSION = b"3"
OLDER = (b"1", b"2")


class Snapshot(NamedTuple):
    """What a store held: how far it was dropped, and its ticks in any order."""

    dropped: int
    ticks: Collection[Tick]


_encode = Encoder().encode
_decode = Decoder(tuple[int, list[WrittenTick]]).decode
_decode_1 = Decoder(list[WrittenTick]).decode


class SnapshotStore(MemoryStore):
    """A MemoryStore that loses what came after its last good snapshot.

    That is a minute at most to a crash, and nothing to a proper end, as long as the disk takes what it is given.
    """

    def __init__(self, path: Path, capacity: int, clock: Clock, lock: Lock) -> None:
        super().__init__(capacity)
        self._path = path
        self._lock = lock
        self._clock = clock
        self._saved = clock.monotonic()  # when the last good snapshot was taken
        self._saving: asyncio.Task[None] | None = None  # the last to save

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

    async def append(self, ticks: list[Tick]) -> None:
        """Keep these ticks; once a minute, save all."""
        await super().append(ticks)
        await self._settled()
        if self._clock.monotonic() - self._saved >= EVERY:
            await self._save()

    async def close(self) -> None:
        """Save, and forget everything. Raises StoreError, and stays open, where it can't be saved."""
        await self._settled()
        if not self._closed:
            await self._save()
        await super().close()
        self._lock.release(clean=True)

    async def _settled(self) -> None:
        """Wait for the save that is under way: who asked for it may have given up, and it has the file to itself."""
        while self._saving is not None and not self._saving.done():
            await asyncio.wait({self._saving})

    async def _save(self) -> None:
        self._saving = asyncio.create_task(self._write())
        self._saving.add_done_callback(lambda saving: saving.cancelled() or saving.exception())
        await asyncio.wait({self._saving})
        self._saving.result()

    async def _write(self) -> None:
        taken = self._clock.monotonic()
        await asyncio.to_thread(save, self._path, Snapshot(self._dropped, self.held()))
        self._saved = taken


def save(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot in place of the one before. Raises StoreError where that can't be done."""
    body = _encoded(snapshot)
    checksum = hashlib.sha256(body).hexdigest().encode()
    new = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(b"%b%b\n%b\n" % (NAME, VERSION, checksum))
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise StoreError(f"the snapshot {path} can't be written: {error.strerror}") from error


def _encoded(snapshot: Snapshot) -> bytearray:
    """The snapshot as MessagePack, tick by tick: encoding all at once would hold the event loop up meanwhile."""
    dropped, ticks = snapshot
    an_array_of_two, an_array_of_many = b"\x92", b"\xdd" + len(ticks).to_bytes(4)
    body = bytearray(an_array_of_two + _encode(dropped) + an_array_of_many)
    for tick in ticks:
        body += _encode(tick)
    return body


def load(path: Path) -> Snapshot:
    """What a file holds, nothing where there is none yet. Raises StoreError where it is torn or none of ours."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Snapshot(0, [])
    except OSError as error:
        raise StoreError(f"the snapshot {path} can't be read: {error.strerror}") from error
    remedy = "move it away, or name another file"
    name, _, rest = content.partition(b"\n")
    checksum, _, body = rest.partition(b"\n")
    if not name.startswith(NAME):
        raise StoreError(f"{path} is no snapshot of ours; {remedy}")
    version = name.removeprefix(NAME)
    if version not in (VERSION, *OLDER):
        raise StoreError(f"the snapshot {path} is from another version of this program; {remedy}")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise StoreError(f"the snapshot {path} is damaged: its checksum doesn't match; {remedy}")
    dropped, ticks = _decode(body) if version != b"1" else (0, _decode_1(body))
    return Snapshot(dropped, [written.tick() for written in ticks])


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
