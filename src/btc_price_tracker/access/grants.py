"""What the bearers of tokens may do, and what they are doing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from btc_price_tracker.access.scopes import NONE, Scope, Scopes

UNNAMED = "-"  # in metrics: without a token, or with one that has no name


class Grant:
    """What one token allows now. Streams keep theirs, so that they notice when it changes."""

    __slots__ = ("max_streams", "name", "requests", "scopes", "streams", "waiting")

    def __init__(self, name: str = UNNAMED, scopes: Scopes = NONE, max_streams: int = 0) -> None:
        self.name = name
        self.scopes = scopes
        self.max_streams = max_streams  # 0: no limit
        self.streams = 0  # that are open
        self.requests = 0  # since the start
        # Waiting requests, with the scopes of which each needs one; one for a stream waits until it is in the hub.
        self.waiting: dict[asyncio.Task[object], Scopes] = {}

    @property
    def is_full(self) -> bool:
        """Whether its next stream is rejected."""
        return 0 < self.max_streams <= self.streams

    @property
    def may_stream(self) -> bool:
        """Whether its streams may stay open."""
        return Scope.STREAM in self.scopes

    def revoke(self) -> None:
        """Allow nothing any more."""
        self.scopes = NONE

    @contextmanager
    def waits(self, scopes: Scopes) -> Iterator[None]:
        """In this block, until `has_joined`, the current task is cancelled once none of these scopes is left."""
        task = asyncio.current_task()
        if task is not None:
            self.waiting[task] = scopes
        try:
            yield
        finally:
            self.has_joined()

    def has_joined(self) -> None:
        """The stream that the current task opens is in the hub."""
        task = asyncio.current_task()
        if task is not None:
            self.waiting.pop(task, None)
