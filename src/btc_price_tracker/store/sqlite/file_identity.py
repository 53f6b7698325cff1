"""Is the file under its path still the one that was opened, and as SQLite left it?"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from btc_price_tracker.errors import StoreError

# sqlite.org/fileformat.html, 1.3: of the header, what never changes while a file is in use, and the count of changes.
_FIXED = slice(0, 24)
_CHANGES = slice(24, 28)


class FileIdentity:
    """Where a file in use lies. SQLite writes on into one that was deleted, moved or overwritten, and says nothing.

    The count of changes in the file only ever grows, whoever else lets SQLite write to it. One that fell shows an
    older file that was copied over this one.
    """

    def __init__(self, path: Path) -> None:
        """For a file that SQLite has open, and its log: so their inodes are given to no other."""
        self.path = path
        pieces = path, path.with_name(f"{path.name}-wal")  # there are disks on which SQLite keeps no log
        self._pieces = [(piece, piece.stat()) for piece in pieces if piece.exists()]
        # Of the file itself, past the log and past what SQLite remembers of it.
        self._file = path.open("rb", buffering=0)
        self._header = self._read()

    def check(self, connection: sqlite3.Connection) -> None:
        """Raise StoreError if what is appended now would be lost. It takes microseconds."""
        header = self._read()
        if header[_FIXED] != self._header[_FIXED] or header[_CHANGES] < self._header[_CHANGES]:
            raise StoreError(
                f"{self.path}: it was overwritten or cut short while in use; "
                "stop the server, put the right file there or none, and start it: prices that wait are lost"
            )
        self._header = header
        if not all(_lies_at(piece, was) for piece, was in self._pieces):
            # The file has then all that it was given, wherever it is; and a log that stays behind is empty, or it
            # would be played into the next file that is put there.
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            raise StoreError(
                f"{self.path}: it was deleted, moved or replaced while in use; "
                "move it back, or restart to go on with what is there, without the prices that wait"
            )

    def close(self) -> None:
        """After SQLite has closed the file: closing a descriptor of it drops the locks of the whole process."""
        self._file.close()

    def _read(self) -> bytes:
        return os.pread(self._file.fileno(), _CHANGES.stop, 0)


def _lies_at(path: Path, was: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), was)
    except OSError:  # gone, or in a folder that can't be looked into any more
        return False
