"""Cancellation that client libraries swallow, or that would keep them from disconnecting."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


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


async def finish(stopping: Coroutine[Any, Any, None], seconds: float) -> bool:
    """Let a client stop, for so many seconds at most, even if the caller is cancelled; whether it has.

    In a task: some swallow the cancellation, and a second one would leave the connection open.
    """
    task = asyncio.create_task(stopping)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
    elif not task.cancelled():
        task.exception()  # taken note of: the connection may have failed already
    return bool(done)
