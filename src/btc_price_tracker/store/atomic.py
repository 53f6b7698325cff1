"""Atomic replacement of a file: the previous contents stay until the new ones are complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600  # for files that only the service and its operator read


def hand_over(descriptor: int, path: Path) -> None:
    """As root, give a file of root to the owner of `path`, if it exists: perhaps the user of the service."""
    if os.geteuid() == 0 and os.fstat(descriptor).st_uid == 0:
        with suppress(FileNotFoundError):
            status = path.stat()
            os.fchown(descriptor, status.st_uid, status.st_gid)


@contextmanager
def atomic_write(path: Path, temporary: Path) -> Iterator[BinaryIO]:
    """Open the file `temporary` for writing; it replaces `path` at the end of the block, or is removed on an error.

    It gets the permissions of the file that it replaces and, from root, the owner; else private ones. Both names must
    be in one folder. Raises OSError.
    """
    temporary.unlink(missing_ok=True)  # left by a process that was killed
    try:
        # O_EXCL follows no symbolic link, should one have been created meanwhile (POSIX, open).
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, path.stat().st_mode & 0o777)
            hand_over(descriptor, path)
            yield file
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
