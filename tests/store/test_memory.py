"""What only memory:// does: it forgets beyond its capacity."""

from decimal import Decimal

from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store import Span, open_store


def ticks(*tick_ids: int) -> list[Tick]:
    return [Tick(each, Decimal("1.00"), Status.OK, 3, Decimal("0.10"), 0, "vote3/1") for each in tick_ids]


async def test_the_oldest_make_room_and_count_as_dropped() -> None:
    store = await open_store("memory://", capacity=3)
    await store.append(ticks(1, 2, 3))
    assert await store.span() == Span(1, 3, 0)
    await store.append(ticks(4, 5))
    assert await store.span() == Span(3, 5, 2)
    assert await store.get(2) is None


async def test_a_batch_larger_than_the_capacity_leaves_its_newest() -> None:
    store = await open_store("memory://", capacity=2)
    await store.append(ticks(3, 9, 1, 7))
    assert await store.newest(9) == ticks(7, 9)
    assert await store.span() == Span(7, 9, 3)


async def test_a_tick_older_than_all_finds_no_room_in_a_full_store() -> None:
    store = await open_store("memory://", capacity=2)
    await store.append(ticks(5, 6))
    await store.append(ticks(4))
    assert await store.span() == Span(5, 6, 4)
