"""`export` and `import`: all prices of a store to a file and back."""

import asyncio
import io
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TextIO, TypeVar

from btc_price_tracker import configured
from btc_price_tracker.cli.startup import load_settings
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.errors import StoreError
from btc_price_tracker.settings import Settings
from btc_price_tracker.store import Store
from btc_price_tracker.store.atomic import atomic_write
from btc_price_tracker.store.export import export, format_of, import_ticks
from btc_price_tracker.store.files import refuse_store_file
from btc_price_tracker.store.private import resolved
from btc_price_tracker.store.records import lines_of

T = TypeVar("T")


def run_export(flags: dict[str, str]) -> int:
    """Write all prices in the store to a file or standard output, and their number to stderr."""
    path = flags.pop("file")
    form = format_of(path, flags.pop("format", None))
    settings = load_settings(flags)
    with open_export(path, settings.store_url) if path != "-" else nullcontext(sys.stdout) as file:
        count = asyncio.run(_with_store(settings, lambda store: export(store, file, form)))
    print(f"{count} prices written", file=sys.stderr)
    return 0


def run_import(flags: dict[str, str]) -> int:
    """Add the prices in a file to the store, and print to stderr how many were new."""
    now = SystemClock().now()
    path = flags.pop("file")
    form = format_of(path, flags.pop("format", None))
    settings = load_settings(flags)
    if settings.store_url == "memory://":
        raise StoreError("memory:// keeps nothing after an import; set STORE_URL to a file or a database")
    with open(
        0 if path == "-" else path, encoding="utf-8-sig"
    ) as file:  # spreadsheets write a byte order mark
        imported = asyncio.run(
            _with_store(settings, lambda store: import_ticks(store, lines_of(file), form, now))
        )
    print(f"{imported.read} prices read, {imported.new} of them new", file=sys.stderr)
    return 0


@contextmanager
def open_export(name: str, store_url: str) -> Iterator[TextIO]:
    """A text file that atomically replaces the file `name` at the end; refused if that belongs to a store.

    A device or a pipe can't be replaced and is written to directly. Raises StoreError and OSError.
    """
    path = Path(name)
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    path = resolved(path)  # replace the target of a link, not the link
    refuse_store_file(path, store_url)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with atomic_write(path, temporary) as raw:
            text = io.TextIOWrapper(raw, encoding="utf-8")
            yield text
            text.detach()  # flushes
    except OSError as error:
        if error.filename == str(temporary):
            error.filename = name  # which the user knows
        raise


async def _with_store(settings: Settings, action: Callable[[Store], Awaitable[T]]) -> T:
    async with configured.open_configured_store(settings) as store:
        return await action(store)
