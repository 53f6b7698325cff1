"""Long reads as many short ones: keyset paging on the id, the same for every store."""

from collections.abc import AsyncIterator, Awaitable, Callable

from btc_price_tracker.price.model import Tick

ReadPage = Callable[[int, int | None, int], Awaitable[list[Tick]]]


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
