"""TOKENS_FILE: a token a line, as JSON. Written as a whole, by one process at a time, read at any time."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog

from btc_price_tracker.access.token import Token
from btc_price_tracker.errors import TokensError, describe_os_error
from btc_price_tracker.store.atomic import PRIVATE, atomic_write, hand_over

MAX_BYTES = 2**22  # about twenty thousand tokens
LOCK_TIMEOUT = 10.0  # seconds

_REMEDY = "let the user of the service own the file, its lock and its folder, or name another file"
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not block
_decoder = msgspec.json.Decoder(Token)

log = structlog.get_logger(__name__)


def read(path: Path) -> list[Token]:
    """The tokens in a file. Raises TokensError, whose message never has a hash; warns if others may read the file."""
    try:
        content = _read(path)
    except FileNotFoundError:
        raise TokensError(f"{path} doesn't exist; `btc-price-tracker token create NAME` creates it") from None
    except OSError as error:
        raise TokensError(f"{path} can't be read: {describe_os_error(error)}; {_REMEDY}") from error
    tokens = [
        _token(path, number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip()
    ]
    for what in ("name", "sha256"):
        if len({getattr(token, what) for token in tokens}) < len(tokens):
            raise TokensError(f"{path} has two tokens with the same {what}; remove one of the lines")
    return tokens


@contextmanager
def changing(path: Path, timeout: float = LOCK_TIMEOUT) -> Iterator[list[Token]]:
    """The tokens of a file, for the block to change; they are written at its end unless it raises.

    Others that change the file wait, for up to `timeout` seconds. Raises TokensError.
    """
    try:
        target = Path(os.path.realpath(_checked(path)))
        with _locked(target, timeout):
            tokens = read(target) if target.exists() else []
            yield tokens
            _write(target, tokens)
    except OSError as error:
        raise TokensError(f"{path} can't be written: {describe_os_error(error)}; {_REMEDY}") from error


def _read(path: Path) -> bytes:
    descriptor = os.open(os.path.realpath(_checked(path)), _READ | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise TokensError(f"{path} is not a regular file")
        if status.st_mode & 0o077:
            log.warning(
                "tokens file is accessible to others", path=str(path), mode=f"{status.st_mode & 0o777:o}"
            )
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise TokensError(f"{path} has more than {MAX_BYTES:,} bytes")
    return content


def _checked(path: Path) -> Path:
    """Return the path unless it is a symbolic link that another user made: in a folder like /tmp, anybody can.

    One's own and root's are followed: Kubernetes mounts secrets through links.
    """
    if path.is_symlink() and path.lstat().st_uid not in (0, os.geteuid()):
        raise TokensError(f"{path} is a symbolic link of another user; remove it or name another file")
    return path


def _token(path: Path, number: int, line: bytes) -> Token:
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TokensError(f"{path}, line {number} is no token: {error}; correct or remove it") from None


@contextmanager
def _locked(target: Path, timeout: float) -> Iterator[None]:
    """Hold the exclusive lock of a file, which is never deleted: see store/lock.py."""
    path = target.with_name(f"{target.name}.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    try:
        hand_over(descriptor, target)
        deadline = time.monotonic() + timeout
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise TokensError(f"another process has held {path} for {timeout:g} s")
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _write(path: Path, tokens: Iterable[Token]) -> None:
    with atomic_write(path, path.with_name(f"{path.name}.new")) as file:
        for token in tokens:
            file.write(msgspec.json.encode(token) + b"\n")
