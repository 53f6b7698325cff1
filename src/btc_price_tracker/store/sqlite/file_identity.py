"""Detects that the file of an open database was deleted, moved or overwritten."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from btc_price_tracker.errors import StoreError

# Ranges of the header (sqlite.org/fileformat.html, 1.3): what never changes in use, and the file change counter.
_FIXED = slice(0, 24)
_CHANGE_COUNTER = slice(24, 28)


class FileIdentity:
    """The file at the path of an open database. SQLite itself goes on writing to a deleted or moved one silently.

    The change counter only ever increases, whichever program writes through SQLite. A lower one shows that an
    older file was copied over this one.
    """

    def __init__(self, path: Path) -> None:
        """For a file that SQLite has open with its WAL, so that their inodes can't be reused."""
        self.path = path
        pieces = path, path.with_name(f"{path.name}-wal")  # on some file systems SQLite uses no WAL
        self._pieces = [(piece, piece.stat()) for piece in pieces if piece.exists()]
        # To read the file itself, bypassing the WAL and SQLite's cache.
        self._file = path.open("rb", buffering=0)
        self._header = self._read()

    def check(self, connection: sqlite3.Connection) -> None:
        """Raise StoreError if ticks appended now would be lost. Takes microseconds."""
        header = self._read()
        if header[_FIXED] != self._header[_FIXED] or header[_CHANGE_COUNTER] < self._header[_CHANGE_COUNTER]:
            raise StoreError(
                f"{self.path}: the file was overwritten or truncated while in use; stop the server, restore the file "
                "you want or delete it, and start the server: queued prices are lost"
            )
        self._header = header
        if not all(_is_same_file(piece, was) for piece, was in self._pieces):
            # Checkpoint, so that the file is complete wherever it is now, and a WAL that was left behind is empty:
            # SQLite would apply it to the next file at this path.
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            raise StoreError(
                f"{self.path}: the file was deleted, moved or replaced while in use; move it back, or restart to "
                "continue with the file that is there, without the queued prices"
            )

    def close(self) -> None:
        """Call after SQLite has closed the file: closing any descriptor of it releases its POSIX locks."""
        self._file.close()

    def _read(self) -> bytes:
        return os.pread(self._file.fileno(), _CHANGE_COUNTER.stop, 0)


def _is_same_file(path: Path, was: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), was)
    except OSError:  # deleted, or in a folder that is no longer accessible
        return False
