"""A lock on the file of a store, for one process at a time.

SQLite itself would let two processes write in turns, and of two that save a snapshot the last would win.
"""

import errno
import fcntl
import os
import re
from contextlib import suppress
from io import FileIO
from pathlib import Path

from btc_price_tracker.errors import StoreError, StoreInUse
from btc_price_tracker.store.atomic import PRIVATE, hand_over

_CLEAN = b"closed\n"
_OURS = re.compile(rb"(?:closed|[0-9]+)?\n?")


def lock_path(path: Path) -> Path:
    """The path of the lock of a file. It is never deleted, see Lock."""
    return path.with_name(f"{path.name}.lock")


def _open(guarded: Path) -> FileIO:
    """Open the lock of a file, created with private permissions; a symbolic link, of unknown target, is refused."""
    path = lock_path(guarded)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, PRIVATE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StoreError(f"{path} is a symbolic link; delete it") from error
        raise
    hand_over(descriptor, guarded)
    return FileIO(descriptor, "ab+")


class Lock:
    """An exclusive lock (flock) on a file, held until release() or the end of the process, even by SIGKILL.

    It is a separate file: a snapshot is a new file after each save, and closing any descriptor of a
    database would release SQLite's own locks (POSIX). It is never deleted: else the holder of a deleted lock and
    the holder of a new one would both continue. It contains the process id of the holder or, after a clean release,
    `closed`.
    """

    def __init__(self, path: Path) -> None:
        """Acquire it. Raises StoreInUse if another process holds it, StoreError for a symbolic link, else OSError."""
        self._file = _open(path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            content = self._read()
            if not _OURS.fullmatch(content):  # a hard link to another file, or a name that was in use
                raise StoreError(f"{lock_path(path)} is not a lock of this program; move it away")  # noqa: TRY301
            self.was_released_clean = content == _CLEAN
            self._write(b"%d\n" % os.getpid())
        except BlockingIOError as error:
            raise StoreInUse(self._in_use(path)) from error
        except (OSError, StoreError):
            self._file.close()
            raise

    def release(self, *, clean: bool) -> None:
        """Release the lock and record whether the file was left in a consistent state. Idempotent."""
        if self._file.closed:
            return
        with self._file, suppress(OSError):  # on a full disk nothing is recorded, so it counts as not clean
            if clean:
                self._write(_CLEAN)

    def _in_use(self, path: Path) -> str:
        with self._file:
            holder = self._read().decode().strip()
        return f"{path} is already in use by process {holder}; stop that process or set another STORE_URL"

    def _read(self) -> bytes:
        self._file.seek(0)
        return self._file.read()

    def _write(self, content: bytes) -> None:
        self._file.truncate(0)
        self._file.write(content)
