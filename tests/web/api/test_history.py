"""/prices, /prices/candles and /prices/{id}: everything that is stored, in bounded answers that lead on."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from btc_price_tracker.price.candles import INTERVALS, Candle, Interval, roll_up
from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.testing import ManualClock
from live import Live, a_tick, live

NOW = 1_764_000_000  # seconds; begins an hour
DAY = 86400
COLUMNS = ["id", "timestamp", "price", "status", "sources", "spread", "age", "quote_age", "method", "pair"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW * 1000)


@pytest.fixture(params=["memory", "sqlite"])
async def server(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Live]:
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/prices.db"
    async with live(clock, store_url=url, store_size=50_000) as server:
        yield server


@pytest.fixture
async def client(server: Live) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(server) as client:
        yield client


def client_of(server: Live) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=server.url, trust_env=False, verify=False, timeout=30)


async def keep(server: Live, ticks: list[Tick]) -> None:
    """Into the store, past the hub: history as an earlier run left it."""
    await server.service.store.append(ticks)


async def some_prices(server: Live, clock: ManualClock) -> list[int]:
    """Three prices in this second, a hole of ten minutes, two in that second; then a minute goes by."""
    ids = [await server.publish(f"69420.{cents}") for cents in (10, 20, 30)]
    clock.step(600)
    ids += [await server.publish("69500.00"), await server.publish("69400.00", status=Status.DEGRADED)]
    clock.step(60)
    return ids


async def get(client: httpx2.AsyncClient, url: str) -> list[dict[str, Any]]:
    """The rows of an answer, its amounts as exact as they were sent."""
    answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    rows: list[dict[str, Any]] = json.loads(answer.content, parse_float=Decimal)
    return rows


async def follow(client: httpx2.AsyncClient, url: str) -> list[list[dict[str, Any]]]:
    """Every page from here to the one that leads nowhere."""
    pages = []
    next_url: str | None = url
    while next_url is not None:
        answer = await client.get(next_url)
        assert answer.status_code == 200, answer.text
        pages.append(json.loads(answer.content, parse_float=Decimal))
        next_url = following(answer)
    return pages


def following(answer: httpx2.Response) -> str | None:
    """Where an answer leads on: a reference relative to the URL that was asked for (RFC 8288, 3.1)."""
    if "next" not in answer.links:
        return None
    return str(answer.url.join(answer.links["next"]["url"]))


# Prices


async def test_prices_come_oldest_first_with_everything_that_streams_say_and_their_id(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock
) -> None:
    ids = await some_prices(server, clock)
    rows = await get(client, "/prices")
    assert [row["id"] for row in rows] == ids
    assert list(rows[0]) == COLUMNS
    assert rows[-1] == {
        "id": ids[-1],
        "timestamp": NOW + 600,
        "price": Decimal("69400.00"),
        "status": "degraded",
        "sources": 3,
        "spread": Decimal("3.10"),
        "age": 0,
        "quote_age": 0,
        "method": "vote3-ped/1",
        "pair": "BTC/USD",
    }


async def test_where_there_is_nothing_the_answer_is_an_empty_list(client: httpx2.AsyncClient) -> None:
    assert await get(client, "/prices") == []
    assert await get(client, "/prices/candles?interval=1m") == []
    assert (await client.get("/prices?format=csv")).text == ",".join([*COLUMNS, "recorded"]) + "\r\n"


async def test_csv_says_the_same_to_the_cent(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock
) -> None:
    await some_prices(server, clock)
    answer = await client.get("/prices?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(answer.text.splitlines()))
    expected = [{name: str(value) for name, value in row.items()} for row in await get(client, "/prices")]
    assert rows == [{**row, "recorded": "false"} for row in expected]
    assert rows[0]["price"] == "69420.10"


async def test_since_and_until_take_whole_seconds_and_both_belong_to_it(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock
) -> None:
    ids = await some_prices(server, clock)

    async def chosen(query: str) -> list[int]:
        return [row["id"] for row in await get(client, f"/prices?{query}")]

    assert await chosen(f"since={NOW}") == ids
    assert await chosen(f"since={NOW + 1}") == ids[3:]
    assert await chosen(f"until={NOW}") == ids[:3]
    assert await chosen(f"until={NOW - 1}") == []
    assert await chosen(f"since={NOW + 600}&until={NOW + 600}") == ids[3:]
    assert await chosen(f"after={ids[1]}&until={NOW + 599}") == ids[2:3]
    assert await chosen(f"since={NOW + 1}&after={ids[1]}") == ids[3:]


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_lead_on_to_the_end_without_gap_or_repeat(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock, limit: int, form: str
) -> None:
    ids = []
    for _ in range(7):
        ids += [await server.publish() for _ in range(3)]  # in one second, so time alone doesn't page
        clock.step(1)
    seen: list[list[int]] = []
    url: str | None = f"/prices?since={NOW}&until={NOW + 6}&limit={limit}&format={form}"
    while url is not None:
        answer = await client.get(url)
        rows = answer.json() if form == "json" else list(csv.DictReader(answer.text.splitlines()))
        seen.append([int(row["id"]) for row in rows])
        url = following(answer)
    assert [tick_id for page in seen for tick_id in page] == ids
    assert {len(page) for page in seen[:-1]} <= {limit}
    assert seen[-1]  # no empty page at the end


async def test_pages_of_the_largest_size_lead_on_as_well(server: Live, client: httpx2.AsyncClient) -> None:
    await keep(server, [a_tick((NOW - 30_000) * 1000 + 1000 * n) for n in range(20_001)])
    pages = [[row["id"] for row in page] for page in await follow(client, "/prices?limit=10000")]
    assert [len(page) for page in pages] == [10_000, 10_000, 1]
    assert list(chain.from_iterable(pages)) == [(NOW - 30_000 + n) * 1000 for n in range(20_001)]


async def test_without_a_limit_a_page_has_a_thousand(server: Live, client: httpx2.AsyncClient) -> None:
    await keep(server, [a_tick((NOW - 2000 + n) * 1000) for n in range(1001)])
    assert [len(page) for page in await follow(client, "/prices")] == [1000, 1]


async def test_prices_that_come_while_someone_pages_are_on_the_pages_to_come(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock
) -> None:
    ids = [await server.publish() for _ in range(4)]
    first = await client.get("/prices?limit=3")
    ids += [await server.publish(), await server.publish()]
    rest = await follow(client, following(first) or "")
    assert [row["id"] for row in chain(first.json(), *rest)] == ids


@pytest.mark.parametrize("path", ["/prices?limit=2&since=0", "/prices/candles?interval=1m&limit=1"])
async def test_link_is_relative_and_has_nothing_of_the_callers_host(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock, path: str
) -> None:
    await some_prices(server, clock)
    answer = await client.get(path, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    assert answer.headers["link"].startswith("<?")
    assert "evil" not in answer.headers["link"]
    assert answer.headers["link"].endswith('>; rel="next"')


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_last_gives_the_newest_prices_oldest_first(
    server: Live, client: httpx2.AsyncClient, form: str
) -> None:
    await keep(server, [a_tick((NOW - 3 * n) * 1000) for n in range(3000)])

    async def last(number: int) -> list[int]:
        answer = await client.get(f"/prices?last={number}&format={form}")
        assert answer.headers["cache-control"] == "no-store"
        assert "link" not in answer.headers
        rows = answer.json() if form == "json" else list(csv.DictReader(answer.text.splitlines()))
        return [int(row["timestamp"]) for row in rows]

    assert await last(1) == [NOW]
    assert await last(2500) == [NOW - 3 * n for n in reversed(range(2500))]
    assert await last(10_000) == [NOW - 3 * n for n in reversed(range(3000))]


# Candles


def as_rows(candles: list[Candle], seconds: int, now: int) -> list[dict[str, Any]]:
    names = ("timestamp", "open", "high", "low", "close", "count")
    return [
        {name: getattr(candle, name) for name in names} | {"final": candle.timestamp + seconds <= now}
        for candle in candles
    ]


def two_days() -> list[Tick]:
    """A price every 50 s with holes of an hour and of minutes, some of it stale, none of it later than now."""
    times = [n for n in range(NOW - 2 * DAY, NOW + 1, 50) if n // 3600 % 7 != 3 and n // 100 % 9]
    statuses = [Status.STALE if n // 1000 % 11 == 0 else Status.OK for n in times]
    prices = [f"{69_000 + n * 7919 % 1000}.{n % 100:02}" for n in range(len(times))]
    return [
        a_tick(at * 1000 + 7, price, status)
        for at, price, status in zip(times, prices, statuses, strict=True)
    ]


@pytest.mark.parametrize("interval", INTERVALS)
async def test_candles_are_what_the_prices_roll_up_to_page_by_page(
    server: Live, client: httpx2.AsyncClient, interval: Interval
) -> None:
    ticks, seconds = two_days(), INTERVALS[interval]
    await keep(server, ticks)
    expected = as_rows(list(roll_up(ticks, seconds)), seconds, NOW)
    assert await get(client, f"/prices/candles?interval={interval}&limit=10000") == expected
    limit = max(1, len(expected) // 3)
    pages = await follow(client, f"/prices/candles?interval={interval}&limit={limit}")
    assert list(chain.from_iterable(pages)) == expected
    assert {len(page) for page in pages[:-1]} <= {limit}
    assert pages[-1]


async def test_candles_are_chosen_by_when_they_begin(server: Live, client: httpx2.AsyncClient) -> None:
    await keep(server, two_days())
    query = f"interval=1h&since={NOW - 7199}&until={NOW - 1}"
    assert [row["timestamp"] for row in await get(client, f"/prices/candles?{query}")] == [NOW - 3600]


async def test_a_hole_stays_a_hole(server: Live, client: httpx2.AsyncClient, clock: ManualClock) -> None:
    await some_prices(server, clock)
    rows = await get(client, "/prices/candles?interval=1m")
    assert [row["timestamp"] for row in rows] == [NOW, NOW + 600]
    assert rows[0]["high"] == Decimal("69420.30")


@pytest.mark.parametrize("interval", INTERVALS)
async def test_a_candle_is_final_once_its_time_is_over(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock, interval: Interval
) -> None:
    await server.publish()
    seconds = INTERVALS[interval]
    (row,) = await get(client, f"/prices/candles?interval={interval}")
    assert row["final"] is False
    clock.step(row["timestamp"] + seconds - NOW - 0.001)
    assert (await get(client, f"/prices/candles?interval={interval}"))[0]["final"] is False
    clock.step(0.001)
    assert (await get(client, f"/prices/candles?interval={interval}"))[0]["final"] is True


# What may be cached


async def cache(client: httpx2.AsyncClient, url: str) -> str:
    answer = await client.get(url)
    assert answer.status_code == 200
    return str(answer.headers["cache-control"])


async def test_what_can_still_change_is_not_cached_and_what_cannot_is(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock
) -> None:
    await some_prices(server, clock)
    now = NOW + 660
    assert await cache(client, "/prices") == "no-store"
    assert await cache(client, f"/prices?until={now}") == "no-store"
    assert "max-age" in await cache(client, f"/prices?until={now - 1}")
    assert "max-age" in await cache(client, "/prices?limit=2")  # a full page of history stays as it is
    assert await cache(client, "/prices/candles?interval=1m") == "no-store"
    assert await cache(client, f"/prices/candles?interval=5m&until={NOW + 600}") == "no-store"
    assert "max-age" in await cache(client, f"/prices/candles?interval=1m&until={NOW + 600}")
    assert "max-age" in await cache(client, "/prices/candles?interval=1m&limit=1")


async def test_while_prices_wait_for_the_store_their_time_is_not_over(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They will be written into seconds and candles that the clock has left behind."""
    await server.publish()
    monkeypatch.setattr(server.service.outbox, "fault", "the disk is full")
    clock.step(60)
    await server.publish()
    clock.step(600)
    assert "max-age" in await cache(client, f"/prices?until={NOW + 59}")
    assert await cache(client, f"/prices?until={NOW + 60}") == "no-store"
    assert [row["final"] for row in await get(client, "/prices/candles?interval=1m")] == [True]
    assert [row["final"] for row in await get(client, "/prices/candles?interval=5m")] == [False]
    assert await cache(client, f"/prices/candles?interval=5m&until={NOW}") == "no-store"


async def test_a_single_price_never_changes(server: Live, client: httpx2.AsyncClient) -> None:
    tick_id = await server.publish()
    assert "immutable" in await cache(client, f"/prices/{tick_id}")


async def test_a_published_price_that_waits_for_the_store_is_there(
    server: Live, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await server.publish("69420.10")
    monkeypatch.setattr(server.service.outbox, "fault", "database is locked")
    waiting = await server.publish("69420.20")
    for tick_id, price in ((kept, 69420.10), (waiting, 69420.20)):
        answer = await client.get(f"/prices/{tick_id}")
        assert (answer.status_code, answer.json()["price"]) == (200, price)
    assert (await client.get(f"/prices/{waiting + 1}")).status_code == 404


# Bad input

BAD = [
    ("/prices?since=99999999999", "since is in the future"),
    (f"/prices?since={NOW + 3600}", "since is in the future"),
    (f"/prices?since={NOW}000", "in seconds, not milliseconds"),
    ("/prices?since=-1", "since"),
    (f"/prices?since={'9' * 40}", "since"),
    (f"/prices?since={'9' * 5000}", "since"),
    ("/prices?since=yesterday", "since"),
    ("/prices?since=", "since"),
    ("/prices?since=1e9", "since"),
    ("/prices?since=1.5", "since"),
    ("/prices?since=NaN", "since"),
    ("/prices?since=0x10", "since"),
    ("/prices?since=%00", "since"),
    ("/prices?since=1_000", "since: give a whole number, in digits only, not '1_000'"),
    ("/prices?since=%2B5", "since"),
    ("/prices?since=%D9%A5", "since"),  # an Arabic 5
    ("/prices?until=5.0", "until"),
    (f"/prices?until={NOW}000", "in seconds, not milliseconds"),
    ("/prices?limit=2.0", "limit"),
    ("/prices?after=%205", "after"),
    (f"/prices?since={NOW}&until={NOW - 1}", f"until ({NOW - 1}) is before since ({NOW})"),
    ("/prices?until=-5", "until"),
    (f"/prices?until={'9' * 40}", "until"),
    ("/prices?until=tomorrow", "until"),
    ("/prices?limit=0", "limit"),
    ("/prices?limit=-1", "limit"),
    ("/prices?limit=10001", "limit"),
    ("/prices?limit=1000000000", "limit"),
    ("/prices?limit=all", "limit"),
    ("/prices?last=0", "last: give 1 or more, not '0'"),
    ("/prices?last=10001", "last: give 10000 or less, not '10001'"),
    ("/prices?last=all", "last: give a whole number, in digits only, not 'all'"),
    ("/prices?last=", "last"),
    ("/prices?last=5&since=0", "last can't be combined with since"),
    (f"/prices?last=5&until={NOW}", "last can't be combined with until"),
    ("/prices?last=5&after=1&limit=9", "last can't be combined with after, limit"),
    ("/prices?sinc=1", "Unknown parameter 'sinc': did you mean 'since'?"),
    ("/prices?LIMIT=1", "did you mean 'limit'?"),
    ("/prices/candles?interval=1m&after=1", "Unknown parameter 'after'"),
    ("/prices?after=-1", "after"),
    (f"/prices?after={2**53}", "after"),
    ("/prices?format=xml", "format"),
    ("/prices/candles", "interval"),
    ("/prices/candles?interval=", "interval"),
    ("/prices/candles?interval=2m", "interval"),
    ("/prices/candles?interval=1M", "interval"),
    ("/prices/candles?interval=60", "interval"),
    ("/prices/candles?interval=1m&since=1_000", "since"),
    (f"/prices/candles?interval=1m&until={NOW}000", "in seconds, not milliseconds"),
    ("/prices/candles?interval=1m&limit=0", "limit"),
    ("/prices/candles?interval=1m&limit=1000000000", "limit"),
    ("/prices/candles?interval=1m&since=99999999999", "since is in the future"),
    (f"/prices/candles?interval=1m&since={NOW}&until=5", "is before since"),
    ("/prices/-1", "id"),
    (f"/prices/{2**53}", "id"),
    ("/prices/x", "id"),
    ("/prices/1.5", "id"),
    ("/prices/1_000", "id"),
    ("/prices/5.0", "id"),
    ("/prices/%205", "id"),
]
INJECTIONS = [
    "'; DROP TABLE ticks; --",
    "1 OR 1=1",
    "1; DELETE FROM ticks",
    "1) UNION SELECT name FROM sqlite_master --",
    '{"$gt": 0}',
    '{"$where": "sleep(1000)"}',
    "1\x00",
    "../../etc/passwd",
    "%27",
]


async def check_refusal(client: httpx2.AsyncClient, url: str, reason: str) -> None:
    answer = await client.get(url)
    assert answer.status_code == 400, url
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem = answer.json()
    assert problem["status"] == 400
    assert reason in problem["detail"]
    assert answer.headers["x-request-id"]


async def test_what_makes_no_sense_is_400_and_says_why(client: httpx2.AsyncClient) -> None:
    for url, reason in BAD:
        await check_refusal(client, url, reason)


async def test_injections_are_values_like_any_other_and_change_nothing(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock
) -> None:
    ids = await some_prices(server, clock)
    for text in INJECTIONS:
        quoted = quote(text, safe="")
        for name in ("since", "until", "limit", "after", "format"):
            await check_refusal(client, f"/prices?{name}={quoted}", name)
        await check_refusal(client, f"/prices/candles?interval={quoted}", "interval")
        await check_refusal(client, f"/prices/candles?interval=1m&since={quoted}", "since")
        assert (await client.get(f"/prices/{quoted}")).status_code in (400, 404)
    for name in ("since[$gt]", "$where", "filter", "order"):
        await check_refusal(client, f"/prices?{name}=0", "Unknown parameter")
    assert [row["id"] for row in await get(client, "/prices")] == ids


async def test_a_clock_that_is_a_little_ahead_is_no_bad_input(client: httpx2.AsyncClient) -> None:
    assert await get(client, f"/prices?since={NOW + 30}") == []


# HEAD


@pytest.mark.parametrize(
    "path", ["/prices", "/prices?format=csv", "/prices/candles?interval=1m", "/prices?limit=2"]
)
async def test_head_has_the_headers_of_get_and_no_body(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock, path: str
) -> None:
    await some_prices(server, clock)
    got, headed = await asyncio.gather(client.get(path), client.head(path))
    assert headed.status_code == 200
    assert headed.content == b""
    for name in ("content-type", "content-length", "cache-control", "link"):
        assert headed.headers.get(name) == got.headers.get(name)


async def test_head_of_what_makes_no_sense_is_400(client: httpx2.AsyncClient) -> None:
    assert (await client.head("/prices?limit=0")).status_code == 400
