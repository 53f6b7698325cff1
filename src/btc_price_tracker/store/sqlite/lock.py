"""One process a file: SQLite would let two write in turns, and their ids would interleave."""

import fcntl
import os
from io import FileIO
from pathlib import Path

from btc_price_tracker.store import StoreError


def acquire(path: Path) -> FileIO:
    """The lock on this file, held until closed or until the process dies, however it dies.

    It lies beside the file: closing any descriptor of the file itself would drop SQLite's own locks (POSIX
    says so). It stays there: were it deleted, one who still holds the deleted one and one who makes a new one
    would both go on. Raises StoreError where another holds it, OSError where it can't be made.
    """
    lock = path.with_name(f"{path.name}.lock").open("ab+", buffering=0)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.truncate(0)
        lock.write(b"%d\n" % os.getpid())
    except BlockingIOError as error:
        raise StoreError(_in_use(path, lock)) from error
    except OSError:
        lock.close()
        raise
    return lock


def _in_use(path: Path, lock: FileIO) -> str:
    with lock:
        lock.seek(0)
        holder = lock.read().decode().strip()
    return f"{path} is already in use by process {holder}; stop that, or give this one a STORE_URL of its own"
