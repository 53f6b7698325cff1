"""Long reads as many short ones: keyset paging on the id, the same for every store."""

from collections.abc import AsyncIterator

from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store

PAGE = 500  # ticks


async def pages(
    store: Store, after: int, until: int | None = None, size: int = PAGE, *, quotes: bool = False
) -> AsyncIterator[list[Tick]]:
    """Ticks with after < id (≤ until), oldest first, in pages of `size` up to the first short one; `quotes` or without.

    Each page is a query of its own, asked only when the reader comes for it: a slow reader holds one page of
    memory and no cursor, no transaction, no connection. What is appended meanwhile is part of what it reads.
    """
    read = store.page_with_quotes if quotes else store.page
    while ticks := await read(after, until, size):
        yield ticks
        if len(ticks) < size:
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
        ticks = await store.page(after, until, 2 * PAGE + 1)  # enough to see that they are too many
        if len(ticks) > 2 * PAGE:
            width //= 2
            continue
        if len(ticks) < PAGE:
            width *= 2
        if ticks:
            yield ticks[-limit:]
        limit -= len(ticks)
        until = after
