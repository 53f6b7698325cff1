"""memory:///path — the last ticks in memory, and now and then in a file, from which the next start goes on.

The file is a line that names it and its version, a line with the SHA-256 of the rest, and the ticks as MessagePack.
It is replaced in one step, so a crash leaves the one before.
"""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Self

import msgspec

from btc_price_tracker.clock import Clock, SystemClock
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Limits, StoreError
from btc_price_tracker.store.memory import MemoryStore

EVERY = 60.0  # seconds between snapshots, at least
NAME = b"btc-price-tracker snapshot "
VERSION = b"1"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Tick]).decode


class SnapshotStore(MemoryStore):
    """A MemoryStore that loses at most the last minute to a crash, and nothing to a proper end."""

    def __init__(self, path: Path, capacity: int, clock: Clock) -> None:
        super().__init__(capacity)
        self._path = path
        self._clock = clock
        self._saved = clock.monotonic()

    @classmethod
    async def restored(cls, path: Path, capacity: int, clock: Clock) -> Self:
        """A store that goes on from its snapshot, if there is one."""
        store = cls(path, capacity, clock)
        await store.append(await asyncio.to_thread(load, path))
        return store

    async def append(self, ticks: list[Tick]) -> None:
        """Keep these ticks; once a minute, save all."""
        await super().append(ticks)
        if self._clock.monotonic() - self._saved >= EVERY:
            self._saved = self._clock.monotonic()
            await asyncio.to_thread(save, self._path, self.held())

    async def close(self) -> None:
        """Save, and forget everything."""
        if held := self.held():
            await asyncio.to_thread(save, self._path, held)
        await super().close()


def save(path: Path, ticks: list[Tick]) -> None:
    """Write a snapshot in place of the one before. Raises StoreError where that can't be done."""
    body = _encode(ticks)
    new = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(b"%b%b\n%b\n%b" % (NAME, VERSION, hashlib.sha256(body).hexdigest().encode(), body))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise StoreError(f"the snapshot {path} can't be written: {error.strerror}") from error


def load(path: Path) -> list[Tick]:
    """The ticks of a snapshot, none where there is no file yet. Raises StoreError where it is torn or none of ours."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"the snapshot {path} can't be read: {error.strerror}") from error
    remedy = "move it away, or name another file"
    name, _, rest = content.partition(b"\n")
    checksum, _, body = rest.partition(b"\n")
    if not name.startswith(NAME):
        raise StoreError(f"{path} is no snapshot of ours; {remedy}")
    if name != NAME + VERSION:
        raise StoreError(f"the snapshot {path} is from another version of this program; {remedy}")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise StoreError(f"the snapshot {path} is damaged: its checksum doesn't match; {remedy}")
    return _decode(body)


async def open_url(url: str, limits: Limits) -> MemoryStore:
    """`memory://`, empty, or `memory:///path`, which goes on from its snapshot. Raises StoreError as `load` does."""
    path = url.removeprefix("memory://")
    if not path:
        return MemoryStore(limits.capacity)
    return await SnapshotStore.restored(Path(path), limits.capacity, SystemClock())
