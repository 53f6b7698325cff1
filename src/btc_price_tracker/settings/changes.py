"""Whether files were written or replaced since they were last looked at."""

from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[int, int, int] | None  # None: not there


class Changes:
    """Looks at files by name: what a symbolic link, as Kubernetes mounts secrets, leads to now counts."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)
        self._seen = self._stamps()

    def any(self) -> bool:
        """Whether a file differs from what it was at the last call, or at the start."""
        before, self._seen = self._seen, self._stamps()
        return before != self._seen

    def _stamps(self) -> list[Stamp]:
        return [_stamp(path) for path in self._paths]


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
