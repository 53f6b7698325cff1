"""The limit of open files (RLIMIT_NOFILE), which bounds the connections of this process."""

import resource
from contextlib import suppress

UNLIMITED = 2**31 - 1  # descriptors are non-negative C ints


def file_limit() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def raise_file_limit() -> None:
    """Raise the soft limit to the hard limit. The soft one is low for the sake of programs that use select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS refuses "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
