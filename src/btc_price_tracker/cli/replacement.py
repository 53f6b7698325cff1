"""The file that an export writes: whole or not at all, and never over a store."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from btc_price_tracker.store.atomic import atomic_write
from btc_price_tracker.store.files import refuse_store_file

READABLE = 0o666  # less the umask, as any file that a command makes


@contextmanager
def replacing(name: str, store_url: str) -> Iterator[TextIO]:
    """A text file to write that takes the place of the file `name` at the end, unless it is a part of a store.

    A device or a pipe, which nothing can take the place of, is written to as it is. Raises StoreError, OSError.
    """
    path = Path(name)
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    path = path.resolve()  # behind a link, it is the file that is replaced
    refuse_store_file(path, store_url)
    with atomic_write(path, path.with_name(f".{path.name}.{os.getpid()}"), READABLE) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8")
        yield text
        text.detach()  # flushes
