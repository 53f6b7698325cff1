"""The files that belong to a store, so that no other file is written over them."""

from contextlib import suppress
from pathlib import Path

from btc_price_tracker.errors import StoreError

SQLITE_HEADER = b"SQLite format 3\x00"  # sqlite.org/fileformat.html, 1.3.1
SNAPSHOT_HEADER = b"btc-price-tracker snapshot "

_LOCAL_PREFIXES = ("sqlite:///", "memory://")  # followed by a path
# Of a database: its WAL, the WAL's index, its rollback journal. Of both kinds: the lock. Of a snapshot: the next one.
_SUFFIXES = ("", "-wal", "-shm", "-journal", ".lock", ".new")


def refuse_store_file(path: Path, url: str) -> None:
    """Raise StoreError if `path` belongs to the store that `url` names, or to any SQLite database or snapshot."""
    path = path.resolve()
    for store in filter(None, (local_path(url), *_possible_stores(path))):
        if any(_is_same(path, store.with_name(store.name + suffix)) for suffix in _SUFFIXES):
            raise StoreError(f"{path} belongs to the store {store} and isn't overwritten; name another file")


def local_path(url: str) -> Path | None:
    """The path of the store that a URL names, None where it isn't on this machine."""
    names = [url.removeprefix(prefix) for prefix in _LOCAL_PREFIXES if url.startswith(prefix)]
    return Path(names[0]).expanduser().resolve() if names and names[0] else None


def _possible_stores(path: Path) -> list[Path]:
    """The databases and snapshots to which `path`, by its name, may belong."""
    names = {path.name.removesuffix(suffix) for suffix in _SUFFIXES}
    return [candidate for name in names if name and _is_store(candidate := path.with_name(name))]


def _is_store(path: Path) -> bool:
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(32).startswith((SQLITE_HEADER, SNAPSHOT_HEADER))
    return False


def _is_same(path: Path, other: Path) -> bool:
    """Compare by name, also where there is no file yet, then by inode: hard links, case-insensitive file systems."""
    with suppress(OSError):
        return path == other or path.samefile(other)
    return False
