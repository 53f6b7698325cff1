"""The file behind sqlite://, from a path to open connections.

In this order, so that nothing is written to a file before it is known to be ours:
    refuse   what is no database and never was one of ours
    lock     one process at a time
    refuse   somebody else's database, or a newer one of ours
    check    a damaged file is set aside under a new name, never deleted, and a fresh one begins
    migrate  forward only

To check a file is to read all of it, which takes seconds a gigabyte. So that is done where there is a reason: its
last user was killed, met with damage or left no word (a copy, a backup). What else befell a file between two runs
shows where it is read, at once or later; then the next start has the reason.
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
from btc_price_tracker.store.lock import Lock, lock_of
from btc_price_tracker.store.sqlite.errors import is_damage
from btc_price_tracker.store.sqlite.file_identity import FileIdentity
from btc_price_tracker.store.sqlite.schema import migrate, refuse_foreign

BUSY_TIMEOUT = 5.0  # seconds to wait for another program, such as a backup, to let go

_log = structlog.get_logger(__name__)


class OpenFile(NamedTuple):
    """The one connection that writes, two that only read, where the file lies, and the lock that makes it ours."""

    writer: sqlite3.Connection
    reader: sqlite3.Connection
    candle_reader: sqlite3.Connection
    place: FileIdentity
    lock: Lock


def open_file(path: Path) -> OpenFile:
    """Open or begin the file. Blocks. Raises StoreError, OSError or sqlite3.Error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _refuse_non_database(path)
    with ExitStack() as undo:
        lock = Lock(path)
        undo.callback(lock.release, clean=False)
        mode = _ensure_file(path)
        with closing(_connect(path)) as connection:
            if _is_damaged(connection, path, thorough=not lock.was_released_clean):
                # Before it closes: the last connection to leave folds the log into the file and deletes it.
                set_aside(path, datetime.now(UTC))
                _ensure_file(path, mode)
        writer = undo.enter_context(closing(_connect(path)))
        # WAL: readers and the writer don't wait for one another. NORMAL: a commit is with the kernel when it
        # returns, and on the disk at the next checkpoint. So `kill -9` loses nothing; a power cut may lose
        # what came after the last checkpoint, but never damages the file. FULL would put an fsync, and with
        # it the disk's slowest moment, between each price and those who wait for it, to save minutes of
        # history that no money hangs on.
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA synchronous = NORMAL")
        migrate(writer)
        reader, candle_reader = (undo.enter_context(closing(_reading(path))) for _ in range(2))
        place = FileIdentity(path)
        undo.pop_all()
    return OpenFile(writer, reader, candle_reader, place, lock)


def _refuse_non_database(path: Path) -> None:
    """Raise StoreError for a file that never was a database of ours: it isn't damaged, STORE_URL names it in error."""
    if path.is_file() and not lock_of(path).exists():
        with path.open("rb") as file:
            if file.read(len(SQLITE_HEADER)) not in (b"", SQLITE_HEADER):
                raise StoreError(f"{path} is no database; name another file in STORE_URL, or move it away")


def _ensure_file(path: Path, mode: int = PRIVATE) -> int:
    """Make the file, with these permissions, unless it is there, whose own stay; returns the ones that it has.

    SQLite would make it readable for all. It gives the log the permissions of the file.
    """
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        os.fchmod(descriptor, mode)
        os.close(descriptor)
    return path.stat().st_mode & 0o777


def _connect(path: Path) -> sqlite3.Connection:
    """A connection with explicit transactions, for one thread at a time."""
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)


def _reading(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _is_damaged(connection: sqlite3.Connection, path: Path, *, thorough: bool) -> bool:
    """Is the file no whole database? Raises StoreError where that is none of our business."""
    try:
        refuse_foreign(connection, path)
        return thorough and connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return True
        raise


def set_aside(path: Path, now: datetime) -> None:
    """Rename the file and what belongs to it, so that nothing is lost and a fresh file can begin."""
    aside = path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%S.%fZ}")
    # The file last: a log alone is ignored, a log beside a fresh file might be played into it.
    for suffix in ("-wal", "-shm", ""):
        piece = path.with_name(path.name + suffix)
        if piece.exists():
            piece.rename(aside.with_name(aside.name + suffix))
    _log.warning("store file is damaged: set aside, a fresh one begins", file=str(path), aside=str(aside))
