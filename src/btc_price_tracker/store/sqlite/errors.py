"""What SQLite says went wrong, in words that name the remedy."""

import sqlite3
from pathlib import Path

from btc_price_tracker.errors import StoreError

_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

# By how SQLite's own name for the fault begins (sqlite.org/rescode.html).
_REMEDIES = {
    "SQLITE_FULL": "the disk is full; make room, and it goes on by itself",
    "SQLITE_READONLY": "it is read-only; let this user write to it and to its folder",
    "SQLITE_CANTOPEN": "it can't be opened; check that it is a file in a folder that this user may write to",
    "SQLITE_BUSY": "another program keeps it locked; close that program",
    "SQLITE_IOERR": "the disk fails; check its space, its quota and its health",
    **dict.fromkeys(_DAMAGE, "it is damaged; restart, and it is set aside for a fresh one"),
}


def store_error(error: sqlite3.Error, path: Path) -> StoreError:
    """The same fault as a StoreError that names the file and the remedy."""
    name = _name(error)
    remedy = next(
        (words for start, words in _REMEDIES.items() if name.startswith(start)), "the database failed"
    )
    return StoreError(f"{path}: {remedy} ({error})")


def is_damage(error: sqlite3.Error) -> bool:
    """Does the error mean that the file is no whole database?"""
    return _name(error).startswith(_DAMAGE)


def _name(error: sqlite3.Error) -> str:
    """Empty where the fault isn't SQLite's but of the module around it, which sets no name."""
    return getattr(error, "sqlite_errorname", "")
