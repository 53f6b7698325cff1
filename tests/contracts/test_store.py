"""The contract of Store, on every kind with a real server; mongodb:// with mongoeco, which is not mongod."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal

import pytest
from msgspec.structs import replace

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Tick
from btc_price_tracker.store import PRUNE_BATCH, Span, Store, open_store
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.paging import pages
from btc_price_tracker.store.timed import TimedStore

DURABLE = ("snapshot", "sqlite", "postgresql", "mongodb")
TIMEOUT = 60.0  # seconds: a busy machine, and mongoeco, may take longer than the default
STORES = ("memory", "timed", *DURABLE)

QUOTES = (
    AssessedQuote(
        source="kraken",
        kind=Kind.EXCHANGE,
        last=Decimal("69420.10000"),
        bid=Decimal("69420.0"),
        ask=Decimal("69420.20000"),
        time=1_764_000_000_001,
        age=1234,
        price=Decimal("69420.100"),
        confidence=Decimal("34.7"),
        used=True,
    ),
    AssessedQuote(source="okx", kind=Kind.EXCHANGE, rate=Decimal("0.9990"), reason="no answer within 5 s"),
)


def tick(tick_id: int, price: str = "69420.25", quotes: tuple[AssessedQuote, ...] = ()) -> Tick:
    """A typical tick."""
    return Tick(tick_id, Decimal(price), Status.OK, 3, Decimal("3.10"), 0, "vote3/1", quotes)


def ticks(*tick_ids: int) -> list[Tick]:
    return [tick(tick_id) for tick_id in tick_ids]


async def read(store: Store, after: int, until: int | None = None, page: int = 500) -> list[int]:
    """The ids of all pages, joined."""
    return [tick.id async for ticks in pages(store, after, until, page) for tick in ticks]


def prune_batch(kind: str) -> int:
    return 5 if kind == "mongodb" else PRUNE_BATCH  # mongoeco takes a minute for thousands of ticks


@pytest.fixture(params=STORES)
async def store(
    request: pytest.FixtureRequest, new_store_url: Callable[[str], Awaitable[str]]
) -> AsyncIterator[Store]:
    kind = "memory" if request.param == "timed" else request.param
    store = await open_store(
        await new_store_url(kind), capacity=10_000, operation_timeout=TIMEOUT, prune_batch=prune_batch(kind)
    )
    if request.param == "timed":
        store = TimedStore(store, lambda *_: None)
    yield store
    await store.close()


async def test_empty_store_has_no_ticks(store: Store) -> None:
    assert await store.span() == Span(0, 0, 0)
    assert await store.newest(10) == []
    assert await store.get(1) is None
    assert await read(store, 0) == []


async def test_append_of_nothing_changes_nothing(store: Store) -> None:
    await store.append([])
    assert await store.span() == Span(0, 0, 0)


async def test_get_returns_quotes_with_exact_decimals(store: Store) -> None:
    await store.append([tick(7, "69420.20", QUOTES)])
    stored = await store.get(7)
    assert repr(stored) == repr(tick(7, "69420.20", QUOTES))  # repr shows exponents, == doesn't


@pytest.mark.parametrize("status", Status)
async def test_every_status_is_stored(store: Store, status: Status) -> None:
    stale = Tick(5, Decimal("0.01"), status, 0, Decimal("0.00"), 299, "another method/2")
    await store.append([stale])
    assert await store.newest(1) == [stale]


async def test_quote_age_and_recorded_are_stored(store: Store) -> None:
    aged = [replace(tick(1), quote_age=1_234_567), replace(tick(2), recorded=True)]
    await store.append(aged)
    assert await store.newest(2) == aged
    assert [await store.get(each.id) for each in aged] == aged


async def test_append_leaves_stored_ids_unchanged(store: Store) -> None:
    await store.append([tick(1, "1.00"), tick(1, "2.00", QUOTES)])
    await store.append([tick(1, "3.00", QUOTES), tick(2)])
    assert await store.get(1) == tick(1, "1.00")
    assert await read(store, 0) == [1, 2]


async def test_append_returns_the_number_of_new_ticks(store: Store) -> None:
    assert await store.append([]) == 0
    assert await store.append([tick(1), tick(2, quotes=QUOTES)]) == 2
    assert await store.append([tick(2), tick(3), tick(3, "1.00"), tick(1)]) == 1
    assert await store.append(ticks(1, 2, 3)) == 0
    stale = Tick(4, Decimal("0.01"), Status.STALE, 0, Decimal("0.00"), 299, "another method/2")
    assert await store.append([stale, *ticks(5, 6)]) == 3


async def test_ticks_are_ordered_by_id(store: Store) -> None:
    await store.append(ticks(30, 10))
    await store.append(ticks(20, 5))
    assert await read(store, 0) == [5, 10, 20, 30]
    assert await store.newest(3) == ticks(10, 20, 30)
    assert await store.span() == Span(5, 30, 0)


async def test_batch_with_fraction_of_a_cent_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match=r"69420\.255"):
        await store.append([tick(1), tick(2, "69420.255")])
    assert await read(store, 0) == []
    await store.append(ticks(2))
    assert await read(store, 0) == [2]


async def test_page_excludes_after_and_includes_until(store: Store) -> None:
    await store.append(ticks(1, 2, 3, 4, 5))
    assert await read(store, 2) == [3, 4, 5]
    assert await read(store, 1, until=4) == [2, 3, 4]
    assert await read(store, 3, until=3) == []
    assert await read(store, 4, until=2) == []
    assert await read(store, -1) == [1, 2, 3, 4, 5]


async def test_ids_skips_and_limits(store: Store) -> None:
    await store.append(ticks(1, 2, 3, 5, 8))
    assert await store.ids(0, None, 0, 10) == [1, 2, 3, 5, 8]
    assert await store.ids(1, None, 1, 2) == [3, 5]
    assert await store.ids(1, 5, 1, 10) == [3, 5]
    assert await store.ids(-(10**30), 10**30, 4, 2) == [8]
    assert await store.ids(0, None, 5, 2) == []
    assert await store.ids(8, None, 0, 2) == []
    assert await store.ids(5, 3, 0, 2) == []


async def test_ids_beyond_64_bits_match_nothing(store: Store) -> None:
    await store.append(ticks(1))
    assert await store.get(10**30) is None
    assert await store.get(-(10**30)) is None
    assert await read(store, 10**30) == []
    assert await read(store, -(10**30), until=10**30) == [1]
    assert await store.prune(-(10**30)) == 0


async def test_pages_are_full_except_the_last(store: Store) -> None:
    await store.append(ticks(*range(1, 7)))
    assert [len(page) async for page in pages(store, 0, size=4)] == [4, 2]
    assert [len(page) async for page in pages(store, 0, size=3)] == [3, 3]
    assert [len(page) async for page in pages(store, 6, size=3)] == []


async def test_page_and_newest_omit_quotes(store: Store) -> None:
    await store.append([tick(1, quotes=QUOTES)])
    assert await store.newest(1) == [tick(1)]
    assert [page async for page in pages(store, 0)] == [[tick(1)]]


async def test_page_with_quotes_has_exact_decimals(store: Store) -> None:
    kept = [tick(1, quotes=QUOTES), tick(2), tick(3, "2.00", QUOTES), tick(4, quotes=QUOTES)]
    await store.append(kept)
    assert repr(await store.page_with_quotes(0, None, 10)) == repr(kept)
    assert await store.page_with_quotes(1, 3, 10) == kept[1:3]
    assert await store.page_with_quotes(1, None, 2) == kept[1:3]
    assert await store.page_with_quotes(4, None, 2) == []
    assert await store.page_with_quotes(-(10**30), 10**30, 2) == kept[:2]
    assert await store.page_with_quotes(10**30, None, 2) == []
    assert [page async for page in pages(store, 0, size=3, quotes=True)] == [kept[:3], kept[3:]]


async def test_newest_respects_the_limit(store: Store) -> None:
    await store.append(ticks(1, 2, 3))
    assert await store.newest(0) == []
    assert await store.newest(2) == ticks(2, 3)
    assert await store.newest(5) == ticks(1, 2, 3)


async def test_pages_include_ticks_appended_meanwhile(
    store: Store,
) -> None:
    await store.append(ticks(1, 2))
    seen: list[int] = []
    async for page in pages(store, 0, size=2):
        seen += [tick.id for tick in page]
        if len(seen) < 10:
            await store.append(ticks(seen[-1] + 1, seen[-1] + 2))
    assert seen == [*range(1, 11)]


async def test_short_page_is_the_last(store: Store) -> None:
    await store.append(ticks(1, 2, 3))
    reader = pages(store, 0, size=2)
    assert [len(await anext(reader)), len(await anext(reader))] == [2, 1]
    await store.append(ticks(4))
    assert [page async for page in reader] == []


async def test_reader_between_pages_does_not_block_prune(store: Store) -> None:
    await store.append(ticks(*range(1, 11)))
    reader = pages(store, 0, size=2)
    assert [tick.id for tick in await anext(reader)] == [1, 2]
    assert await store.prune(8) == 7
    assert [tick.id for tick in await anext(reader)] == [8, 9]


async def test_prune_deletes_older_ticks_and_records_how_far(store: Store) -> None:
    await store.append([tick(1, quotes=QUOTES), *ticks(2, 5, 9)])
    assert await store.prune(5) == 2
    assert await store.span() == Span(5, 9, 2)
    assert await store.get(1) is None
    assert await store.prune(5) == 0
    assert await store.span() == Span(5, 9, 2)


async def test_prune_deletes_quotes(store: Store) -> None:
    await store.append([tick(1, quotes=QUOTES), tick(2, quotes=QUOTES)])
    await store.prune(3)
    await store.append([tick(1), tick(2, "1.00", QUOTES)])
    assert await store.get(1) == tick(1)
    assert await store.get(2) == tick(2, "1.00", QUOTES)


async def test_dropped_survives_the_last_tick(store: Store) -> None:
    await store.append(ticks(1, 2))
    assert await store.prune(100) == 2
    assert await store.span() == Span(0, 0, 2)


async def test_prune_deletes_several_batches(store: Store, request: pytest.FixtureRequest) -> None:
    many = 5 * prune_batch(request.node.callspec.params["store"]) // 2
    await store.append(ticks(*range(1, many + 2)))
    assert await store.prune(many + 1) == many
    assert await store.span() == Span(many + 1, many + 1, many)


async def test_old_tick_appended_after_prune_is_stored(
    store: Store,
) -> None:
    await store.append(ticks(1, 5, 9))
    await store.prune(9)
    await store.append(ticks(3))
    assert await store.span() == Span(3, 9, 5)
    assert await store.prune(4) == 1
    assert await store.span() == Span(9, 9, 5)


@pytest.mark.parametrize("kind", DURABLE)
async def test_restart_preserves_history_and_dropped(
    kind: str, new_store_url: Callable[[str], Awaitable[str]]
) -> None:
    url = await new_store_url(kind)
    spans = []
    for before, left in ((2, [2, 3]), (10, [])):
        store = await open_store(url, capacity=10, operation_timeout=TIMEOUT)
        await store.append([tick(1, quotes=QUOTES), tick(2), tick(3, quotes=QUOTES)])
        await store.prune(before)
        await store.close()
        store = await open_store(url, capacity=10, operation_timeout=TIMEOUT)
        assert await read(store, 0) == left
        assert (await store.get(3)) == (tick(3, quotes=QUOTES) if left else None)
        spans.append(await store.span())
        await store.close()
    assert spans == [Span(2, 3, 1), Span(0, 0, 3)]


async def test_describe_names_the_store_without_password(
    store: Store, request: pytest.FixtureRequest
) -> None:
    described = {
        "memory": "memory",
        "timed": "memory",
        "snapshot": "prices.snapshot",
        "sqlite": "prices.db",
        "postgresql": "PostgreSQL",
        "mongodb": "MongoDB",
    }
    kind = request.node.callspec.params["store"]
    description = await store.describe()
    assert described.get(kind, kind) in description
    assert "hunter2" not in description


async def test_closed_store_raises_and_close_is_idempotent(store: Store) -> None:
    await store.append(ticks(1))
    await store.close()
    await store.close()
    for call in (
        store.append(ticks(2)),
        store.span(),
        store.get(1),
        store.newest(1),
        store.page_with_quotes(1, None, 1),
        store.describe(),
        store.prune(1),
        store.candles(60, 0, 1, 1),
    ):
        with pytest.raises(StoreError, match="closed"):
            await call
    with pytest.raises(StoreError, match="closed"):
        await read(store, 0)


async def test_timed_store_reports_durations_and_failures() -> None:
    observed: list[tuple[str, float, bool]] = []
    times = iter([1.0, 1.25, 2.0, 4.0])

    def observe(operation: str, seconds: float, succeeded: bool) -> None:  # noqa: FBT001 - one callback for all
        observed.append((operation, seconds, succeeded))

    store = TimedStore(MemoryStore(10), observe, lambda: next(times))
    await store.append(ticks(1))
    await store.store.close()
    with pytest.raises(StoreError):
        await store.span()
    assert observed == [("append", 0.25, True), ("span", 2.0, False)]


async def test_timed_store_reports_a_cancelled_operation_as_failed() -> None:
    observed: list[tuple[str, bool]] = []

    class Hanging(MemoryStore):
        async def append(self, ticks: list[Tick]) -> int:
            await asyncio.Event().wait()
            raise AssertionError

    store = TimedStore(Hanging(10), lambda operation, _, succeeded: observed.append((operation, succeeded)))
    appending = asyncio.create_task(store.append(ticks(1)))
    await asyncio.sleep(0)
    appending.cancel()
    await asyncio.wait({appending})
    assert observed == [("append", False)]


# Candles

HOUR = 1_763_999_999 // 3600 * 3600  # seconds; the start of an hour


def at(second: float, price: str, status: Status = Status.OK) -> Tick:
    """A tick this many seconds into the hour."""
    tick_id = round((HOUR + second) * 1000)
    return Tick(tick_id, Decimal(price), status, 3, Decimal("3.10"), 0, "vote3/1")


def candle(second: int, *amounts: str) -> Candle:
    """The candle that starts this many seconds into the hour: open, high, low, close, count."""
    opening, high, low, closing, count = map(Decimal, amounts)
    return Candle(HOUR + second, opening, high, low, closing, int(count))


@pytest.mark.parametrize("seconds", [60, 300, 900, 3600, 14400, 86400])
async def test_candle_has_open_high_low_close(store: Store, seconds: int) -> None:
    await store.append([at(20, "3.00"), at(0, "2.00"), at(10, "1.00"), at(30, "2.50")])
    start = HOUR // seconds * seconds
    expected = Candle(start, Decimal("2.00"), Decimal("3.00"), Decimal("1.00"), Decimal("2.50"), 4)
    assert await store.candles(seconds, 0, 2**40, 10) == [expected]


@pytest.mark.parametrize("seconds", [60, 900, 3600])
async def test_candles_are_half_open_and_gaps_stay_empty(store: Store, seconds: int) -> None:
    await store.append(
        [at(0, "1.00"), at(seconds - 0.001, "2.00"), at(seconds, "3.00"), at(3 * seconds, "4.00")]
    )
    assert await store.candles(seconds, HOUR, 2**40, 10) == [
        candle(0, "1.00", "2.00", "1.00", "2.00", "2"),
        candle(seconds, "3.00", "3.00", "3.00", "3.00", "1"),
        candle(3 * seconds, "4.00", "4.00", "4.00", "4.00", "1"),
    ]


@pytest.mark.parametrize("seconds", [60, 900])
async def test_stale_tick_is_part_of_no_candle(store: Store, seconds: int) -> None:
    await store.append([at(0, "9.00", Status.STALE), at(1, "2.00"), at(2, "1.00", Status.STALE)])
    await store.append([at(seconds, "2.00", Status.STALE)])
    assert await store.candles(seconds, 0, 2**40, 10) == [candle(0, "2.00", "2.00", "2.00", "2.00", "1")]


@pytest.mark.parametrize("seconds", [60, 900])
async def test_candles_are_selected_by_start_and_complete(store: Store, seconds: int) -> None:
    await store.append([at(n * seconds / 2, f"{n + 1}.00") for n in range(8)])

    async def starts(first: int, last: int, limit: int = 10) -> list[int]:
        chosen = await store.candles(seconds, HOUR + first, HOUR + last, limit)
        assert all(each.count == 2 for each in chosen)
        return [(each.timestamp - HOUR) // seconds for each in chosen]

    assert await starts(0, 3 * seconds) == [0, 1, 2, 3]
    assert await starts(1, 3 * seconds - 1) == [1, 2]
    assert await starts(seconds, seconds) == [1]
    assert await starts(seconds + 1, 2 * seconds - 1) == []
    assert await starts(2 * seconds, seconds) == []
    assert await starts(0, 10**30, 2) == [0, 1]
    assert await starts(-(10**30), 10**30, 0) == []


@pytest.mark.parametrize("seconds", [60, 900])
async def test_repeated_and_late_ticks_count_once(store: Store, seconds: int) -> None:
    await store.append([at(10, "2.00")])
    await store.append([at(10, "7.00"), at(30, "3.00")])
    await store.append([at(5, "1.00"), at(20, "9.00"), at(5, "8.00")])
    assert await store.candles(seconds, 0, 2**40, 10) == [candle(0, "1.00", "9.00", "1.00", "3.00", "4")]


@pytest.mark.parametrize("seconds", [60, 900, 3600])
async def test_pruned_tick_is_part_of_no_candle(store: Store, seconds: int) -> None:
    await store.append([at(n, f"{9 - n}.00") for n in range(5)])
    await store.append([at(seconds, "1.00")])
    await store.prune(round((HOUR + 3) * 1000))
    assert await store.candles(seconds, HOUR, 2**40, 10) == [
        candle(0, "6.00", "6.00", "5.00", "5.00", "2"),
        candle(seconds, "1.00", "1.00", "1.00", "1.00", "1"),
    ]
    await store.append([at(1, "8.00")])
    assert (await store.candles(seconds, HOUR, HOUR, 1)) == [candle(0, "8.00", "8.00", "5.00", "5.00", "3")]
    await store.prune(2**50)
    assert await store.candles(seconds, 0, 2**40, 10) == []
