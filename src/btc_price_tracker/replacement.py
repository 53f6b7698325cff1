"""A file that is written whole or not at all: what was there before stays until the new one is complete."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def replacing(name: str) -> Iterator[TextIO]:
    """A text file to write, beside the file `name`, whose place it takes at the end; gone if that isn't reached.

    A device or a pipe, which nothing can take the place of, is written to as it is.
    """
    path = Path(name)
    if path.exists() and not path.is_file():
        with path.open("w") as file:
            yield file
        return
    path = path.resolve()  # behind a link, it is the file that is replaced
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, beside)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
