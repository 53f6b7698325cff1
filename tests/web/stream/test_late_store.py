"""A store that is down at the start and comes back: what it holds is replayed, before the first price and after it."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store import Store
from btc_price_tracker.store.lazy import LazyStore
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.testing import ManualClock, eventually
from live import Client, Live, a_tick, live

NOW = 1_764_000_000_000
HISTORY = [NOW - 10_000 * number for number in range(600, 0, -1)]  # more than a page

Seen = list[int | tuple[int, int]]  # prices and gaps


class Database:
    """One that can't be reached until the test says so."""

    def __init__(self) -> None:
        self.store = MemoryStore(10_000)
        self.is_up = False

    async def open(self, _url: str, **_limits: object) -> Store:
        if not self.is_up:
            raise StoreError("it can't be reached")
        return self.store


@pytest.fixture
async def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    database = Database()
    await database.store.append([a_tick(tick_id) for tick_id in HISTORY])
    monkeypatch.setattr("btc_price_tracker.configured.open_store", database.open)
    monkeypatch.setattr("btc_price_tracker.configured.LazyStore", partial(LazyStore, failure_ttl=0.0))
    return database


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture(params=[True, False], ids=["detached", "fallback"])
async def server(
    request: pytest.FixtureRequest, database: Database, clock: ManualClock
) -> AsyncIterator[Live]:
    """Started while the database is down. While that is so, prices wait until the clock advances."""
    assert not database.is_up
    detach: bool = request.param
    async with live(clock, detach=detach, store_url="postgresql://elsewhere/prices", retention="0") as server:
        yield server


async def read(client: Client, prices: int) -> Seen:
    """So many prices, and the gaps before and between them."""
    found: Seen = []
    while prices:
        event = await client.event()
        if event.price is not None:
            found.append(event.price)
            prices -= 1
        elif event.name == "gap":
            found.append((event.data["from"], event.data["to"]))
    return found


POSITIONS = [
    ("since=0", HISTORY),
    (f"since={HISTORY[0] // 1000}", HISTORY),
    (f"since={HISTORY[5] // 1000}", HISTORY[5:]),
    (f"last_event_id={HISTORY[0]}", HISTORY[1:]),
    (f"last_event_id={HISTORY[-2]}", HISTORY[-1:]),
    (f"last_event_id={HISTORY[-1]}", []),
]


@pytest.mark.parametrize(("query", "expected"), [*POSITIONS, ("", [])])
async def test_a_client_that_comes_before_the_first_price_gets_history(
    server: Live, database: Database, query: str, expected: list[int]
) -> None:
    database.is_up = True
    async with await Client.get(server.port, f"/prices/stream?{query}") as client:
        assert await read(client, len(expected)) == expected
        await eventually(lambda: len(server.hub))
        first = await server.publish()
        assert await read(client, 1) == [first]


@pytest.mark.parametrize(("query", "expected"), POSITIONS)
@pytest.mark.parametrize("waiting", [1, 0], ids=["waits", "stored"])
async def test_a_client_that_comes_after_the_first_price_gets_history_and_that(
    server: Live, database: Database, waiting: int, query: str, expected: list[int]
) -> None:
    assert isinstance(server.clock, ManualClock)
    server.clock.step(5)
    first = await server.publish()
    database.is_up = True
    if not waiting:
        await server.clock.sleeping()
        await server.clock.advance(1)
    assert len(server.service.outbox) == waiting
    async with await Client.get(server.port, f"/prices/stream?{query}") as client:
        assert await read(client, len(expected) + 1) == [*expected, first]
        second = await server.publish()
        assert await read(client, 1) == [second]


@pytest.mark.parametrize(
    ("query", "gap"),
    [("since=0", (1, NOW - 1)), (f"last_event_id={HISTORY[5]}", (HISTORY[5] + 1, NOW - 1))],
)
async def test_while_it_is_down_the_client_is_told_what_it_misses(
    server: Live, query: str, gap: tuple[int, int]
) -> None:
    async with await Client.get(server.port, f"/prices/stream?{query}") as client:
        first = await server.publish()
        assert await read(client, 1) == [gap, first]


@pytest.mark.parametrize(
    ("query", "start"), [("since=0", 1), (f"last_event_id={HISTORY[1]}", HISTORY[1] + 1)]
)
async def test_what_it_has_dropped_is_a_gap(server: Live, database: Database, query: str, start: int) -> None:
    await database.store.prune(HISTORY[4])
    database.is_up = True
    async with await Client.get(server.port, f"/prices/stream?{query}") as client:
        gap, *prices = await read(client, len(HISTORY) - 4)
    assert prices == HISTORY[4:]
    assert gap in ((start, HISTORY[3]), (start, HISTORY[4] - 1))


async def test_a_store_that_has_nothing_any_more_is_a_gap_to_a_client_that_had_a_price(
    server: Live, database: Database
) -> None:
    database.store = MemoryStore(10)
    database.is_up = True
    async with (
        await Client.get(server.port, f"/prices/stream?last_event_id={HISTORY[5]}") as client,
        await Client.get(server.port, "/prices/stream?since=0") as other,
    ):
        await eventually(lambda: len(server.hub) == 2)
        first = await server.publish()
        assert await read(client, 1) == [(HISTORY[5] + 1, NOW - 1), first]
        assert await read(other, 1) == [first]


async def test_an_id_of_the_future_is_a_gap(server: Live, database: Database) -> None:
    database.is_up = True
    async with await Client.get(server.port, f"/prices/stream?last_event_id={NOW + 10**6}") as client:
        await eventually(lambda: len(server.hub))
        first = await server.publish()
        (gap, price) = await read(client, 1)
    assert isinstance(gap, tuple)
    assert price == first
