"""The limit of open files, which is what bounds the connections of this process."""

import resource
from contextlib import suppress

UNLIMITED = 2**31 - 1  # what no limit comes to: descriptors are positive ints of C


def file_limit() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def raise_file_limit() -> None:
    """Raise the limit as far as this user may: to the hard one. The soft one is for programs that use select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS takes no "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
