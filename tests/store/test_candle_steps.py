"""Candles are read in few steps, and no step reads many more pieces than it returns, for any gaps."""

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.price.candles import roll_up
from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store.candle_steps import candles_in_steps
from btc_price_tracker.store.integers import cents

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000  # ms
BEGIN = 20_000 * DAY


class Memory:
    """Ticks in a list, each priced in cents by its index; records what is read."""

    def __init__(self, ids: Sequence[int], longest: int = 56 * DAY) -> None:
        self.ids = ids
        self.longest = longest
        self.steps = 0
        self.read = 0

    async def first(self, start: int, end: int) -> int | None:
        at = bisect_left(self.ids, start)
        return self.ids[at] if at < len(self.ids) and self.ids[at] < end else None

    async def sums(self, start: int, end: int, width: int, limit: int) -> list[tuple[int, ...]]:
        self.steps += 1
        between = [tick for tick in self.ticks() if start <= tick.id < end]
        self.read += len(between)
        rolled = islice(roll_up(between, width // 1000), limit)
        return [
            (each.timestamp * 1000, *map(cents, (each.open, each.high, each.low, each.close)), each.count)
            for each in rolled
        ]

    def ticks(self) -> list[Tick]:
        return [
            Tick(each, Decimal(place).scaleb(-2), Status.OK, 3, Decimal("0.10"), 0, "vote3/1")
            for place, each in enumerate(self.ids, 1)
        ]


@pytest.mark.parametrize(
    ("ids", "steps", "read"),
    [
        (range(BEGIN, BEGIN + DAY, 10_000), 1, 6000),
        ([*range(BEGIN, BEGIN + HOUR, 10_000), *range(BEGIN + DAY, BEGIN + 4 * DAY, 10_000)], 2, 12_360),
        (range(BEGIN, BEGIN + 400 * HOUR, HOUR), 5, 400),
        (range(BEGIN, BEGIN + 2000 * DAY, DAY), 24, 1000),
        (
            [*range(BEGIN, BEGIN + 500 * DAY, DAY), *range(BEGIN + 500 * DAY, BEGIN + 501 * DAY, 10_000)],
            15,
            9200,
        ),
    ],
    ids=[
        "one every 10 s",
        "an outage of a day",
        "one an hour",
        "one a day",
        "one a day, then one every 10 s",
    ],
)
async def test_thousand_minute_candles_take_few_steps(ids: Sequence[int], steps: int, read: int) -> None:
    pieces = Memory(ids)
    found = await candles_in_steps(pieces, 60, 0, 2**40, 1000)
    assert found == [*islice(roll_up(pieces.ticks(), 60), 1000)]
    assert pieces.steps <= steps
    assert pieces.read <= read


@pytest.mark.parametrize("limit", [1, 60])
async def test_few_candles_read_few_ticks(limit: int) -> None:
    pieces = Memory(range(BEGIN, BEGIN + DAY, 10_000))
    assert len(await candles_in_steps(pieces, 60, 0, 2**40, limit)) == limit
    assert pieces.read == 6 * limit


async def test_step_spans_at_most_longest() -> None:
    pieces = Memory(range(BEGIN, BEGIN + 10 * DAY, HOUR), longest=DAY)
    assert len(await candles_in_steps(pieces, 60, 0, 2**40, 10**9)) == 240
    assert pieces.steps == 10


async def test_pieces_pruned_during_a_read_are_left_out() -> None:
    class Pruned(Memory):
        async def sums(self, start: int, end: int, width: int, limit: int) -> list[tuple[int, ...]]:
            self.steps += 1
            self.ids = [each for each in self.ids if each >= end]
            return []

    pieces = Pruned(range(BEGIN, BEGIN + DAY, HOUR))
    assert await candles_in_steps(pieces, 60, 0, 2**40, 10) == []
    assert pieces.steps <= 24


@given(
    st.lists(st.integers(0, 3000), min_size=1, unique=True).map(sorted), st.integers(1, 40), st.integers(1, 9)
)
async def test_result_equals_roll_up_for_any_gaps(offsets: list[int], limit: int, longest: int) -> None:
    pieces = Memory([BEGIN + offset * 20_000 for offset in offsets], longest * 10 * MINUTE)
    found = await candles_in_steps(pieces, 60, 0, 2**40, limit)
    assert found == [*islice(roll_up(pieces.ticks(), 60), limit)]
