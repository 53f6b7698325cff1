"""Private folders, and files that no other user has planted.

Another user who may write to a folder may have put a link or a file there, to be followed or written to. So each link
that is followed, and each file of a store that exists, must belong to this user, to root, or to the owner of the folder
it is in: as with Linux's fs.protected_symlinks and fs.protected_regular (proc(5)), but in every folder.
"""

import errno
import os
import stat
from collections import deque
from contextlib import suppress
from pathlib import Path

from btc_price_tracker.errors import StoreError

PRIVATE_FOLDER = 0o700

_MAX_LINKS = 40  # as in Linux


def make_folder(folder: Path) -> None:
    """Create a folder, and those above it, for this user alone; existing ones stay as they are. Raises OSError."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(PRIVATE_FOLDER, exist_ok=True)


def resolved(path: Path) -> Path:
    """Return the absolute path without links. Where nothing exists yet, a link planted later is not followed.

    Raises StoreError for a link of another user, or too many; and OSError.
    """
    real, ahead, links = Path("/"), deque(path.absolute().parts[1:]), 0
    while ahead:
        name = ahead.popleft()
        entry = real.parent if name == ".." else real / name
        if target := _target(entry):
            links += 1
            if links > _MAX_LINKS:
                raise StoreError(f"{path} can't be resolved: too many symbolic links; name another file")
            _refuse_foreign(entry, entry.lstat())
            ahead.extendleft(reversed(Path(target).parts))
        else:
            real = entry
    return real


def refuse_planted(*files: Path) -> None:
    """Raise StoreError for one that is a link, no regular file, or another user's. It needn't exist."""
    for file in files:
        with suppress(FileNotFoundError):
            status = file.lstat()
            if stat.S_ISLNK(status.st_mode):
                raise StoreError(f"{file} is a symbolic link; delete it")
            if not stat.S_ISREG(status.st_mode):
                raise StoreError(
                    f"{file} is not a regular file; name another one in STORE_URL, or move it away"
                )
            _refuse_foreign(file, status)


def unusable(path: Path, error: OSError) -> StoreError:
    """Make the error for a file that can't be opened."""
    return StoreError(
        f"{path} can't be opened: {error.strerror}; check {error.filename or path} and its folder"
    )


def _target(entry: Path) -> str | None:
    """What a link contains; None if this is none, or nothing."""
    try:
        return os.readlink(entry)  # noqa: PTH115 - a text, whose `..` stay
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:  # not a link
            return None
        raise


def _refuse_foreign(entry: Path, status: os.stat_result) -> None:
    if status.st_uid not in (os.geteuid(), 0, entry.parent.stat().st_uid):
        raise StoreError(
            f"{entry} belongs to another user (uid {status.st_uid}), and its folder doesn't; delete it, or name "
            "another file"
        )
