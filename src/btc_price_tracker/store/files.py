"""Which files make up a store, so that nothing else is written over them."""

from contextlib import suppress
from pathlib import Path

from btc_price_tracker.errors import StoreError

SQLITE_HEADER = b"SQLite format 3\x00"  # sqlite.org/fileformat.html, 1.3.1
SNAPSHOT_HEADER = b"btc-price-tracker snapshot "

_LOCAL = ("sqlite:///", "memory://")  # what follows is a path
# Beside a database: its log, the index of that, its rollback journal. Beside either: the lock, and the next snapshot.
_SUFFIXES = ("", "-wal", "-shm", "-journal", ".lock", ".new")


def refuse_store_file(path: Path, url: str) -> None:
    """Raise StoreError if `path` is a file of the store that `url` names, or of any database or snapshot."""
    path = path.resolve()
    for store in filter(None, (_path_of(url), *_possible_stores(path))):
        if any(_is_same(path, store.with_name(store.name + suffix)) for suffix in _SUFFIXES):
            raise StoreError(f"{path} belongs to the store {store} and isn't overwritten; name another file")


def _path_of(url: str) -> Path | None:
    """Where the store of a URL lies, if that is on this machine."""
    names = [url.removeprefix(prefix) for prefix in _LOCAL if url.startswith(prefix)]
    return Path(names[0]).expanduser().resolve() if names and names[0] else None


def _possible_stores(path: Path) -> list[Path]:
    """By its name, `path` may belong to these: those that are databases or snapshots by their content."""
    names = {path.name.removesuffix(suffix) for suffix in _SUFFIXES}
    return [beside for name in names if name and _is_store(beside := path.with_name(name))]


def _is_store(path: Path) -> bool:
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(32).startswith((SQLITE_HEADER, SNAPSHOT_HEADER))
    return False


def _is_same(path: Path, other: Path) -> bool:
    """By name, also of what isn't there yet; else by what lies there: a hard link, a name in other letters."""
    with suppress(OSError):
        return path == other or path.samefile(other)
    return False
