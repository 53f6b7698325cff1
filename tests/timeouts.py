"""The time by which timeouts go: set forward, so that no test waits for one, or runs into one on a busy machine."""

import asyncio


def leap(seconds: float) -> None:
    """Let so many seconds pass at once for the timeouts of the running loop, which belongs to one test."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]
