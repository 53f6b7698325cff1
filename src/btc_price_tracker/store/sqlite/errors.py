"""Errors of SQLite as StoreError, with the cause and the remedy."""

import sqlite3
from pathlib import Path

from btc_price_tracker.errors import StoreError

_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

# By the beginning of the name of the result code (sqlite.org/rescode.html).
_CAUSES = {
    "SQLITE_FULL": "the disk is full; free space, and it recovers on its own",
    "SQLITE_READONLY": "the file is read-only; grant this user write access to it and its folder",
    "SQLITE_CANTOPEN": "the file can't be opened; check that it is a regular file in a folder this user may write to",
    "SQLITE_BUSY": "the file is locked by another program; close that program",
    "SQLITE_IOERR": "disk I/O error; check the disk's free space, quota and health",
    **dict.fromkeys(_DAMAGE, "the file is damaged; restart, and it is renamed and replaced by a new one"),
}


def store_error(error: sqlite3.Error, path: Path) -> StoreError:
    """The StoreError for an error of SQLite; it names the file."""
    name = _name(error)
    cause = next((cause for prefix, cause in _CAUSES.items() if name.startswith(prefix)), "SQLite failed")
    return StoreError(f"{path}: {cause} ({error})")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the error means that the file is not an intact database."""
    return _name(error).startswith(_DAMAGE)


def _name(error: sqlite3.Error) -> str:
    """The name of the result code; empty for errors of the Python module, which have none."""
    return getattr(error, "sqlite_errorname", "")
