"""The newest ticks are read backwards in short pages, for any gaps between them."""

from collections.abc import Awaitable, Callable
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store, open_store
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.paging import PAGE, newest_first
from live import a_tick

YEAR = 365 * 86_400_000  # ms


class Counting(MemoryStore):
    """Records the number of ticks of each read."""

    def __init__(self) -> None:
        super().__init__(1_000_000)
        self.reads: list[int] = []

    async def newest(self, limit: int) -> list[Tick]:
        return self._counted(await super().newest(limit))

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        return self._counted(await super().page(after, until, limit))

    def _counted(self, ticks: list[Tick]) -> list[Tick]:
        self.reads.append(len(ticks))
        return ticks


async def read(store: Store, limit: int) -> list[Tick]:
    pages = [page async for page in newest_first(store, limit, (await store.span()).first)]
    return list(chain.from_iterable(reversed(pages)))


@given(
    st.lists(st.tuples(st.integers(1, 1500), st.sampled_from([1, 900, 10_000, 3_600_000, YEAR])), max_size=4),
    st.integers(1, 4000),
)
async def test_newest_first_equals_newest_in_short_pages(spells: list[tuple[int, int]], limit: int) -> None:
    store, at = Counting(), 0
    for count, step in spells:
        await store.append([a_tick(at + step * number) for number in range(1, count + 1)])
        at += step * count + YEAR
    assert await read(store, limit) == await MemoryStore.newest(store, limit)
    assert max(store.reads) <= 2 * PAGE + 1
    assert len(store.reads) < 300


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgresql"])
async def test_newest_first_reads_every_store(
    kind: str, new_store_url: Callable[[str], Awaitable[str]]
) -> None:
    store = await open_store(await new_store_url(kind), capacity=10_000, operation_timeout=60)
    ids = [*range(1000, 3000), *range(3 * YEAR, 3 * YEAR + 10_000 * PAGE, 10_000)]
    await store.append([a_tick(tick_id) for tick_id in ids])
    assert [tick.id for tick in await read(store, 1900)] == ids[-1900:]
    assert [tick.id for tick in await read(store, 5000)] == ids
    await store.close()


async def test_number_of_reads_is_linear() -> None:
    store = Counting()
    await store.append([a_tick(10_000 * number) for number in range(1, 50_001)])
    await read(store, 50_000)
    assert len(store.reads) < 2.2 * 50_000 / PAGE
