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
    limit = asyncio.get_running_loop().call_later(seconds, task.cancel)

    def take_note(task: asyncio.Task[None]) -> None:
        limit.cancel()
        if not task.cancelled():
            task.exception()  # the connection may have failed already

    task.add_done_callback(take_note)
    await asyncio.wait({task}, timeout=seconds)
    return task.done() and not task.cancelled()
