"""Cancellation that client libraries swallow."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raise CancelledError at the end of the block if its task was cancelled in it and the block went on.

    Until Python 3.12, asyncio.wait_for does so to whom it awaits, if the result comes in the same moment.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    yield
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
