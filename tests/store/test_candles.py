"""The candles of every store equal those of roll_up(), for any order of appends and any pruning."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import count, islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btc_price_tracker.price.candles import INTERVALS, Candle, roll_up
from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store import Store, open_store
from btc_price_tracker.store.postgres.window import WINDOW

HOURS = 6

# Around the end of a partition, so that candles have pieces on both sides of it; few ids, so that they repeat.
offsets = st.integers(-HOURS * 60, HOURS * 60).map(lambda half_minutes: half_minutes * 30_000) | st.integers(
    -HOURS * 1_800_000, HOURS * 1_800_000
)
drafts = st.tuples(offsets, st.integers(1, 10**7), st.sampled_from([Status.OK, Status.OK, Status.STALE]))
batches = st.lists(st.lists(drafts, max_size=12), max_size=3)
moments = st.integers(-HOURS * 1800, HOURS * 1800)  # seconds
queries = st.tuples(st.sampled_from([*INTERVALS.values()]), moments, moments, st.integers(1, 30))


def made(base: int, draft: tuple[int, int, Status]) -> Tick:
    offset, cents, status = draft
    return Tick(base + offset, Decimal(cents).scaleb(-2), status, 3, Decimal("0.10"), 0, "vote3/1")


def expected(kept: dict[int, Tick], seconds: int, first: int, last: int, limit: int) -> list[Candle]:
    rolled = roll_up((kept[tick_id] for tick_id in sorted(kept)), seconds)
    return [*islice((each for each in rolled if first <= each.timestamp <= last), limit)]


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgresql", "mongodb"])
def test_candles_of_every_store_equal_roll_up(
    kind: str, new_store_url: Callable[[str], Awaitable[str]]
) -> None:
    with asyncio.Runner() as runner:
        store = runner.run(_opened(new_store_url, kind))
        bases = (number * WINDOW for number in count(100))

        # One store for all examples, each of which is later than those before and prunes them first.
        @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(batches, st.none() | offsets, batches, st.lists(queries, min_size=1, max_size=3))
        def agree(
            before: list[list[tuple[int, int, Status]]],
            pruned: int | None,
            after: list[list[tuple[int, int, Status]]],
            asked: list[tuple[int, int, int, int]],
        ) -> None:
            base = next(bases)
            runner.run(store.prune(base - WINDOW // 2))
            kept: dict[int, Tick] = {}
            runner.run(_append(store, kept, [[made(base, draft) for draft in batch] for batch in before]))
            if pruned is not None:
                runner.run(_prune(store, kept, base + pruned))
            runner.run(_append(store, kept, [[made(base, draft) for draft in batch] for batch in after]))
            for seconds, first, last, limit in asked:
                query = seconds, base // 1000 + first, base // 1000 + last, limit
                assert runner.run(store.candles(*query)) == expected(kept, *query)

        agree()
        runner.run(store.close())


async def _opened(new_store_url: Callable[[str], Awaitable[str]], kind: str) -> Store:
    return await open_store(await new_store_url(kind), capacity=10_000, operation_timeout=60)


async def _append(store: Store, kept: dict[int, Tick], batches: list[list[Tick]]) -> None:
    for batch in batches:
        for tick in batch:
            kept.setdefault(tick.id, tick)
        await store.append(batch)


async def _prune(store: Store, kept: dict[int, Tick], before: int) -> None:
    gone = [tick_id for tick_id in kept if tick_id < before]
    for tick_id in gone:
        del kept[tick_id]
    assert await store.prune(before) == len(gone)
