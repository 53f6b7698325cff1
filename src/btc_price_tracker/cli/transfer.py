"""`export` and `import`: the history of a store, to a file and back."""

import asyncio
import io
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TextIO, TypeVar

from btc_price_tracker import app
from btc_price_tracker.cli.startup import load_settings
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.settings import Settings
from btc_price_tracker.store import Store
from btc_price_tracker.store.atomic import atomic_write
from btc_price_tracker.store.export import export, format_of, import_ticks
from btc_price_tracker.store.files import refuse_store_file

READABLE = 0o666  # less the umask, as any file that a command makes

T = TypeVar("T")


def run_export(flags: dict[str, str]) -> int:
    """Write everything that the store holds to a file, or to standard output."""
    path = flags.pop("file")
    form = format_of(path, flags.pop("format", None))
    settings = load_settings(flags)
    with replacing(path, settings.store_url) if path != "-" else nullcontext(sys.stdout) as file:
        count = asyncio.run(_with_store(settings, lambda store: export(store, file, form)))
    print(f"{count} prices written", file=sys.stderr)
    return 0


def run_import(flags: dict[str, str]) -> int:
    """Take the prices of a file into the store; those it has already stay as they are."""
    now = SystemClock().now()
    path = flags.pop("file")
    form = format_of(path, flags.pop("format", None))
    settings = load_settings(flags)
    with open(0 if path == "-" else path, encoding="utf-8-sig") as file:  # spreadsheets begin it with a mark
        imported = asyncio.run(_with_store(settings, lambda store: import_ticks(store, file, form, now)))
    print(f"{imported.read} prices read, {imported.new} of them new", file=sys.stderr)
    return 0


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


async def _with_store(settings: Settings, action: Callable[[Store], Awaitable[T]]) -> T:
    async with app.open_configured_store(settings) as store:
        return await action(store)
