"""A file that is written whole or not at all: what was there before stays until the new one is complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600  # for files that only the service and its operator read


@contextmanager
def atomic_write(path: Path, temporary: Path, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """A file to write, called `temporary`, that takes the place of `path` at the end; gone if that isn't reached.

    It gets the permissions of the file that it replaces, else `mode` less the umask. Both names lie in one folder.
    Raises OSError.
    """
    temporary.unlink(missing_ok=True)  # left by a process that was killed
    try:
        # O_EXCL follows no symbolic link, should one have been put there meanwhile (POSIX, open).
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            if path.exists():
                os.fchmod(descriptor, path.stat().st_mode & 0o777)
            yield file
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
