"""Long reads as many short ones: keyset paging on the id, the same for every store."""

from collections.abc import AsyncIterator, Awaitable, Callable

from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store

ReadPage = Callable[[int, int | None, int], Awaitable[list[Tick]]]
PAGE = 500  # ticks


async def keyset(read: ReadPage, after: int, until: int | None, page: int) -> AsyncIterator[list[Tick]]:
    """Pages of `read(after, until, page)`, each begun where the last one ended, up to the first short one.

    Each page is a query of its own, asked only when the reader comes for it: a slow reader holds one page of
    memory and no cursor, no transaction, no connection.
    """
    while ticks := await read(after, until, page):
        yield ticks
        if len(ticks) < page:
            return
        after = ticks[-1].id


async def newest_first(store: Store, limit: int, first: int) -> AsyncIterator[list[Tick]]:
    """The last `limit` ticks without their quotes, from the end back to the id `first`, in short pages.

    Each page is oldest first. A store reads forwards, so a page is what lies in a window of ids: one that is nearly
    empty makes the next one wider, one that is too full is halved. So a hole of any length costs a few reads.
    """
    ticks = await store.newest(min(limit, PAGE))
    if not ticks:
        return
    yield ticks
    limit -= len(ticks)
    until, width = ticks[0].id - 1, ticks[-1].id - ticks[0].id + 1
    while limit > 0 and until >= first:
        after = max(until - width, first - 1)
        ticks = await _window(store, after, until)
        if len(ticks) > 2 * PAGE:
            width //= 2
            continue
        if len(ticks) < PAGE:
            width *= 2
        if ticks:
            yield ticks[-limit:]
        limit -= len(ticks)
        until = after


async def _window(store: Store, after: int, until: int) -> list[Tick]:
    """Ticks with after < id ≤ until: all, or enough to see that they are too many."""
    ticks: list[Tick] = []
    async for page in store.since(after, until, PAGE):
        ticks += page
        if len(ticks) > 2 * PAGE:
            break
    return ticks
