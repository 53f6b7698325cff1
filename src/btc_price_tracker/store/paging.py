"""Long reads as sequences of short ones: keyset pagination by id, the same for every store."""

from collections.abc import AsyncIterator

from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store

PAGE = 500  # ticks


async def pages(
    store: Store, after: int, until: int | None = None, size: int = PAGE, *, quotes: bool = False
) -> AsyncIterator[list[Tick]]:
    """Ticks with after < id (≤ until), oldest first, in pages of `size`, with or without their quotes.

    Each page is a separate query, sent when the caller asks for it: a slow caller holds one page in memory and no
    cursor, transaction or connection. Ticks that are appended meanwhile are included. The first short page is the last.
    """
    read = store.page_with_quotes if quotes else store.page
    while ticks := await read(after, until, size):
        yield ticks
        if len(ticks) < size:
            return
        after = ticks[-1].id


async def newest_first(store: Store, limit: int, first: int) -> AsyncIterator[list[Tick]]:
    """The last `limit` ticks without their quotes, in short pages from the newest back to the id `first`.

    Each page is oldest first. A store reads forwards, so a page is the content of a window of ids: after one that is
    nearly empty the window is doubled, one with too many ticks is halved. So a gap of any length costs a few reads.
    """
    ticks = await store.newest(min(limit, PAGE))
    if not ticks:
        return
    yield ticks
    limit -= len(ticks)
    until, width = ticks[0].id - 1, ticks[-1].id - ticks[0].id + 1
    while limit > 0 and until >= first:
        after = max(until - width, first - 1)
        ticks = await store.page(after, until, 2 * PAGE + 1)  # one more than acceptable, to detect too many
        if len(ticks) > 2 * PAGE:
            width //= 2
            continue
        if len(ticks) < PAGE:
            width *= 2
        if ticks:
            yield ticks[-limit:]
        limit -= len(ticks)
        until = after
