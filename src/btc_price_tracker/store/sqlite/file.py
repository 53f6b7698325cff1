"""Opening the file of sqlite://, from a path to connections.

In this order, so that nothing is written to a file before it is known to be ours:
    refuse   links and files of other users, files that are no database and never were one of ours
    lock     one process at a time
    refuse   databases of other programs, and of newer versions of this one
    check    a damaged file is renamed, never deleted, and replaced by a new one
    migrate  forward only

An integrity check reads the entire file, seconds per gigabyte. So it runs only if the last process was killed, found
damage, or left no record (a copy, a backup). Other damage is found when the damaged page is read, and the next start
runs the check.
"""

import os
import sqlite3
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import structlog

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store.atomic import PRIVATE
from btc_price_tracker.store.files import SQLITE_HEADER
from btc_price_tracker.store.lock import Lock, lock_path
from btc_price_tracker.store.private import make_folder, refuse_planted
from btc_price_tracker.store.sqlite.errors import is_damage
from btc_price_tracker.store.sqlite.file_identity import FileIdentity
from btc_price_tracker.store.sqlite.schema import migrate, refuse_foreign

SUFFIXES = ("", "-wal", "-shm", "-journal", ".lock")  # of the files that SQLite and we open

log = structlog.get_logger(__name__)


class OpenFile(NamedTuple):
    """One connection that writes and two that only read, the identity of the file, and its lock."""

    writer: sqlite3.Connection
    reader: sqlite3.Connection
    candle_reader: sqlite3.Connection
    identity: FileIdentity
    lock: Lock


def open_file(path: Path, busy_timeout: float) -> OpenFile:
    """Open or create the file; blocks. `busy_timeout`, in seconds, is the wait for locks of other programs.

    Raises StoreError, OSError or sqlite3.Error.
    """
    make_folder(path.parent)
    refuse_planted(*(path.with_name(f"{path.name}{suffix}") for suffix in SUFFIXES))
    _refuse_non_database(path)
    with ExitStack() as undo:
        lock = Lock(path)
        undo.callback(lock.release, clean=False)
        mode = _ensure_file(path)
        with closing(_connect(path, busy_timeout)) as connection:
            if _is_damaged(connection, path, thorough=not lock.was_released_clean):
                # Before it is closed: the last connection checkpoints the WAL into the file and deletes it.
                set_aside(path, datetime.now(UTC))
                _ensure_file(path, mode)
        writer = undo.enter_context(closing(_connect(path, busy_timeout)))
        _enable_wal(writer)
        migrate(writer)
        reader, candle_reader = (
            undo.enter_context(closing(_read_only(path, busy_timeout))) for _ in range(2)
        )
        identity = FileIdentity(path)
        undo.pop_all()
    return OpenFile(writer, reader, candle_reader, identity, lock)


def _enable_wal(writer: sqlite3.Connection) -> None:
    """Use a write-ahead log without an fsync per commit.

    WAL: readers and the writer don't block each other. NORMAL: a commit has reached the kernel when it returns, and
    the disk at the next checkpoint. So SIGKILL loses nothing; a power failure may lose what came after the last
    checkpoint, but never damages the file. FULL would put an fsync, and with it the slowest moments of the disk,
    between each price and its clients, to save minutes of a history that no money depends on.
    """
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("PRAGMA synchronous = NORMAL")


def _refuse_non_database(path: Path) -> None:
    """Raise StoreError for a file that never was a database of ours: STORE_URL is wrong, the file isn't damaged."""
    if path.is_file() and not lock_path(path).exists():
        with path.open("rb") as file:
            if file.read(len(SQLITE_HEADER)) not in (b"", SQLITE_HEADER):
                raise StoreError(f"{path} is not a database; name another file in STORE_URL, or move it away")


def _ensure_file(path: Path, mode: int = PRIVATE) -> int:
    """Create the file with these permissions unless it exists, and return the permissions that it has.

    SQLite would create it readable by all users. It gives the WAL the permissions of the file.
    """
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        os.fchmod(descriptor, mode)
        os.close(descriptor)
    return path.stat().st_mode & 0o777


def _connect(path: Path, busy_timeout: float) -> sqlite3.Connection:
    """A connection in autocommit mode, to be used by one thread at a time."""
    return sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)


def _read_only(path: Path, busy_timeout: float) -> sqlite3.Connection:
    connection = _connect(path, busy_timeout)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _is_damaged(connection: sqlite3.Connection, path: Path, *, thorough: bool) -> bool:
    """Whether the file is not an intact database. Raises StoreError where it belongs to another program or version."""
    try:
        refuse_foreign(connection, path)
        return thorough and connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return True
        raise


def set_aside(path: Path, now: datetime) -> None:
    """Rename the file with its WAL, so that nothing is lost and a new one can be created."""
    aside = path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%S.%fZ}")
    # The file last: a WAL alone is ignored, but SQLite might apply a WAL to a new file at this path.
    for suffix in ("-wal", "-shm", ""):
        piece = path.with_name(path.name + suffix)
        if piece.exists():
            piece.rename(aside.with_name(aside.name + suffix))
    log.warning("damaged database replaced", file=str(path), renamed_to=str(aside))
