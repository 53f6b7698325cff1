"""Durable history: the Store protocol and the place where a URL becomes a store."""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from btc_price_tracker.price.model import Tick


class StoreError(Exception):
    """The store can't do what was asked. The message names the fault and the remedy and holds no password."""


class Span(NamedTuple):
    """What a store holds: the oldest and the newest id (0, 0 when empty), and the id up to which prices were dropped.

    `dropped` is 0 until retention or capacity first removes a price.
    """

    first: int
    last: int
    dropped: int


class Store(Protocol):
    """Append-only history of ticks, keyed and ordered by id; old ones leave from the front only.

    All methods may raise StoreError. One writer; any number of concurrent readers, which never block the writer.
    """

    async def append(self, ticks: list[Tick]) -> None:
        """Keep these ticks, durably and all or none; a tick whose id is already kept is left as it is."""

    async def span(self) -> Span:
        """What is held now."""

    async def get(self, tick_id: int) -> Tick | None:
        """The tick with this id and its quotes, or None."""

    async def newest(self, limit: int) -> list[Tick]:
        """The last `limit` ticks, oldest first, without their quotes."""

    def since(self, after: int, until: int | None = None, page: int = 500) -> AsyncIterator[list[Tick]]:
        """Ticks with after < id (≤ until), oldest first, without quotes, in pages of at most `page`.

        What is appended while a reader iterates is part of what it reads: the iteration ends at a page that is short.
        """

    async def prune(self, before: int) -> int:
        """Drop ticks with id < before, in steps too small to keep a writer waiting; returns how many went."""

    async def close(self) -> None:
        """Release everything. Idempotent."""
