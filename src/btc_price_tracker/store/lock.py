"""One process a file: SQLite would let two write in turns, and a snapshot is replaced by whoever saves last."""

import errno
import fcntl
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store.atomic import PRIVATE

_CLEAN = b"closed\n"


def lock_of(path: Path) -> Path:
    """Where the lock of a file lies: once made, it stays."""
    return path.with_name(f"{path.name}.lock")


def _open(path: Path) -> FileIO:
    """The file, made for its owner alone if need be; a symbolic link, which might lead anywhere, isn't followed."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, PRIVATE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StoreError(f"{path} is a symbolic link; delete it") from error
        raise
    return FileIO(descriptor, "ab+")


class Lock:
    """The right to a file, held until released or until the process dies, however it dies.

    It lies beside the file: a snapshot is another file after each save, and closing any descriptor of a database
    would drop SQLite's own locks (POSIX says so). It stays there: were it deleted, one who still holds the
    deleted one and one who makes a new one would both go on. In it is who holds it, or, once let go of in good
    order, that it was.
    """

    def __init__(self, path: Path) -> None:
        """Raises StoreError where another holds it or a link lies in its place, OSError where it can't be made."""
        self._file = _open(lock_of(path))
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.was_released_clean = self._read() == _CLEAN
            self._write(b"%d\n" % os.getpid())
        except BlockingIOError as error:
            raise StoreError(self._in_use(path)) from error
        except OSError:
            self._file.close()
            raise

    def release(self, *, clean: bool) -> None:
        """Let go, and leave word whether the file is as whole as it should be. Idempotent."""
        if self._file.closed:
            return
        with self._file, suppress(OSError):  # a disk without room for the word: then it isn't clean
            if clean:
                self._write(_CLEAN)

    def _in_use(self, path: Path) -> str:
        with self._file:
            holder = self._read().decode().strip()
        return f"{path} is already in use by process {holder}; stop that, or give this one a STORE_URL of its own"

    def _read(self) -> bytes:
        self._file.seek(0)
        return self._file.read()

    def _write(self, word: bytes) -> None:
        self._file.truncate(0)
        self._file.write(word)
