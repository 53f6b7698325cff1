"""/prices/hours/{hour}: one URL for an hour of prices, immutable once no more can come."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from btc_price_tracker.price.model import Tick
from btc_price_tracker.testing import ManualClock
from live import Client, Live, a_tick, live

HOUR = 3_600_000
START = int(datetime(2026, 11, 26, 9, tzinfo=UTC).timestamp()) * 1000
NAME = "2026-11-26T09"
IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture
async def server() -> AsyncIterator[Live]:
    async with live(ManualClock(START + 2 * HOUR), retention="0") as server:
        yield server


async def stored(server: Live, offsets: Sequence[int]) -> None:
    """Store prices at these times after the start of the hour, in ms."""
    await server.service.store.append([a_tick(START + offset) for offset in offsets])


async def ask(server: Live, hour: str = NAME, **headers: str) -> tuple[Client, list[int]]:
    async with await Client.get(server.port, f"/prices/hours/{hour}", **headers) as client:
        body = await client.body() if client.status == 200 else b"[]"
        return client, [each["id"] - START for each in msgspec.json.decode(body)]


async def test_settled_hour_is_complete_and_immutable(server: Live) -> None:
    await stored(server, [-1, 0, 1, HOUR - 1, HOUR])
    client, ids = await ask(server)
    assert (client.status, ids) == (200, [0, 1, HOUR - 1])
    assert client.headers["cache-control"] == IMMUTABLE
    assert client.headers["etag"].startswith('W/"')


async def test_hour_is_not_settled_before_the_store_has_a_later_price(server: Live) -> None:
    await stored(server, [0, 1])
    client, ids = await ask(server)
    assert (ids, client.headers["cache-control"]) == ([0, 1], "no-cache")


async def test_long_hour_comes_in_pages(server: Live) -> None:
    offsets = list(range(0, 3_600_000, 1000))
    await stored(server, [*offsets, HOUR])
    _, ids = await ask(server)
    assert ids == offsets


async def test_version_changes_with_an_import_and_only_then(server: Live) -> None:
    await stored(server, [0, HOUR])
    version = (await ask(server))[0].headers["etag"]
    assert (await ask(server))[0].headers["etag"] == version
    client, _ = await ask(server, if_none_match=version)
    assert (client.status, client.headers["etag"]) == (304, version)
    await stored(server, [5])
    client, ids = await ask(server, if_none_match=version)
    assert (client.status, ids) == (200, [0, 5])
    assert client.headers["etag"] != version


@pytest.mark.parametrize(
    ("hour", "status"),
    [
        ("2026-11-26T12", 404),  # still to come
        ("2026-11-26T9", 400),
        ("2026-11-26T24", 400),
        ("2026-02-30T09", 400),
        ("2026-11-26", 400),
        ("2026-11-26T09:00", 400),
        ("%20" + NAME, 400),
        ("x" * 500, 400),
    ],
)
async def test_other_names_are_refused(server: Live, hour: str, status: int) -> None:
    client, _ = await ask(server, hour)
    assert client.status == status


async def test_empty_hour_between_prices_is_settled(server: Live) -> None:
    await stored(server, [-HOUR, HOUR])
    client, ids = await ask(server)
    assert (client.status, ids, client.headers["cache-control"]) == (200, [], IMMUTABLE)


async def test_dropped_hour_is_not_found(server: Live) -> None:
    await stored(server, [0, HOUR, 2 * HOUR - 1])
    await server.service.store.prune(START + HOUR)
    client, _ = await ask(server)
    assert client.status == 404


async def test_hour_before_the_first_price_may_still_be_imported(server: Live) -> None:
    await stored(server, [HOUR])
    client, ids = await ask(server)
    assert (client.status, ids, client.headers["cache-control"]) == (200, [], "no-cache")
    assert "link" not in client.headers


async def test_hour_links_to_the_one_before_where_there_are_older_prices(server: Live) -> None:
    await stored(server, [0, HOUR, 2 * HOUR - 1])
    assert "link" not in (await ask(server))[0].headers
    client, _ = await ask(server, "2026-11-26T10")
    assert client.headers["link"] == f'<{NAME}>; rel="prev"'


async def test_prices_that_change_while_they_are_sent_end_the_response(
    server: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache must not keep half of one version and half of another."""
    await stored(server, [*range(0, 500_000, 1000), HOUR])
    store = server.service.store
    page = store.page

    async def import_and_page(after: int, until: int | None, limit: int) -> list[Tick]:
        if after >= START:  # not the first page
            await store.append([a_tick(START + 498_001)])
        return await page(after, until, limit)

    monkeypatch.setattr(type(store), "page", staticmethod(import_and_page))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await ask(server)
    monkeypatch.undo()
    assert len((await ask(server))[1]) == 501


@pytest.mark.parametrize("change", ["grows", "is dropped before", "is dropped after"])
async def test_hour_that_grows_or_is_dropped_while_it_is_read_is_not_kept(
    server: Live, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    store = server.service.store
    await stored(server, [0, 1, 2] if change == "grows" else [0, 1, 2, HOUR])
    original = store.ids

    async def change_and_read(*args: Any) -> list[int]:
        if change == "is dropped before":
            await store.prune(START + 1)
        found: list[int] = await original(*args)
        if change == "is dropped after":
            await store.prune(START + 1)
        if change == "grows":
            await store.append([a_tick(START + 3), a_tick(START + HOUR)])
        return found

    monkeypatch.setattr(type(store), "ids", staticmethod(change_and_read))
    client, _ = await ask(server)
    assert client.headers["cache-control"] in ("no-cache", "no-store")


async def test_instances_agree_on_the_version(server: Live) -> None:
    async with live(ManualClock(START + 2 * HOUR), retention="0") as other:
        await stored(server, [0, 1, HOUR])
        await stored(other, [1, 0])
        await stored(other, [HOUR, 2 * HOUR - 1])
        (one, ids), (two, others) = await ask(server), await ask(other)
        assert ids == others == [0, 1]
        assert one.headers["etag"] == two.headers["etag"]
