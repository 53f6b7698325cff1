"""/prices/next: the price after an id, the same for every client and for ever."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btc_price_tracker.clock import SystemClock
from btc_price_tracker.price.model import Status, Tick, Update
from btc_price_tracker.store.outbox import LostRange
from btc_price_tracker.web.api import following
from btc_price_tracker.web.api.following import Following, NextPrices
from btc_price_tracker.web.gate import Gate
from btc_price_tracker.web.stream.shared import Streams
from live import Client, Live, a_tick, live

IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Live]:
    monkeypatch.setattr(following.install, "__defaults__", (0.3,))
    async with live(store_size=3, store_url=f"sqlite:///{tmp_path}/prices.db") as server:
        yield server


async def connect(server: Live, after: int) -> Client:
    """Send the question; the answer is not awaited."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET /prices/next?after={after} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return Client(reader, writer)


async def ask(server: Live, after: object, **headers: str) -> tuple[Client, bytes]:
    async with await Client.get(server.port, f"/prices/next?after={after}", **headers) as client:
        return client, b"" if client.status in (204, 304) else await client.body()


async def test_known_price_is_answered_at_once_and_for_ever(server: Live) -> None:
    first, second = [await server.publish() for _ in range(2)]
    for after, expected in ((0, first), (first - 1, first), (first, second), (second - 1, second)):
        client, body = await ask(server, after)
        assert (client.status, client.headers["cache-control"]) == (200, IMMUTABLE)
        assert msgspec.json.decode(body)["id"] == expected
        assert client.headers["link"] == f'<?after={expected}>; rel="next"'
        assert client.headers["etag"] == f'"{expected}"'


async def test_waiting_clients_all_get_the_next_price(server: Live) -> None:
    last = await server.publish()
    waiting = [asyncio.create_task(ask(server, last)) for _ in range(50)]
    while len(server.hub.arrivals) < 50:
        await asyncio.sleep(0.005)
    coming = await server.publish("70000.00")
    answers = await asyncio.gather(*waiting)
    assert {client.status for client, _ in answers} == {200}
    (body,) = {body for _, body in answers}
    assert msgspec.json.decode(body)["id"] == coming


async def test_no_price_in_time_is_204_and_not_stored(server: Live) -> None:
    last = await server.publish()
    client, _ = await ask(server, last)
    assert (client.status, client.headers["cache-control"]) == (204, "no-store")


async def test_older_than_the_ring_comes_from_the_store(server: Live) -> None:
    ids = [await server.publish() for _ in range(6)]
    client, body = await ask(server, ids[0])
    assert (client.status, client.headers["cache-control"]) == (200, IMMUTABLE)
    assert msgspec.json.decode(body)["id"] == ids[1]


async def test_dropped_prices_are_gone(server: Live) -> None:
    ids = [await server.publish() for _ in range(6)]
    await server.service.store.prune(ids[2])
    client, _ = await ask(server, ids[0])
    assert client.status == 410


@pytest.mark.parametrize(
    "query", ["after=007", "after=7&x=1", "after=", "after=-1", "", "x=1", "after=7&after=7"]
)
async def test_only_one_url_for_each_id(server: Live, query: str) -> None:
    async with await Client.get(server.port, f"/prices/next?{query}") as client:
        assert client.status == 400


async def test_price_that_only_this_instance_has_is_not_kept(server: Live) -> None:
    last = await server.publish()
    server.service.link.recent.clear()
    client, _ = await ask(server, last - 1)
    assert (client.status, client.headers["cache-control"]) == (200, "no-store")


async def test_drain_ends_the_wait(server: Live) -> None:
    last = await server.publish()
    waiting = asyncio.create_task(ask(server, last))
    while not server.hub.arrivals:
        await asyncio.sleep(0.005)
    await server.hub.drain(0)
    client, _ = await waiting
    assert client.status == 204


async def test_client_that_disconnects_is_forgotten(server: Live) -> None:
    last = await server.publish()
    async with live(max_clients=1) as other, await connect(other, last) as client:
        while not other.hub.arrivals:
            await asyncio.sleep(0.005)
        refused, _ = await ask(other, last)
        assert refused.status == 503
        assert 10 <= int(refused.headers["retry-after"]) <= 30
        client.close()
        while other.hub.arrivals:
            await asyncio.sleep(0.005)
        while (await ask(other, last))[0].status == 503:
            await asyncio.sleep(0.005)


async def test_price_from_the_store_has_the_bytes_of_one_from_the_ring(server: Live) -> None:
    ids = [await server.publish()]
    _, recent = await ask(server, 0)
    ids += [await server.publish() for _ in range(5)]
    assert server.hub._ring.floor >= ids[0]
    assert (await ask(server, 0))[1] == recent


async def test_known_etag_is_answered_without_a_body(server: Live) -> None:
    last = await server.publish()
    client, _ = await ask(server, 0, if_none_match=f'W/"{last}"')
    assert (client.status, client.headers["cache-control"]) == (304, IMMUTABLE)
    client, _ = await ask(server, 0, if_none_match=f'"{last}0"')
    assert client.status == 200


async def test_price_that_never_reached_the_store_is_not_kept(server: Live) -> None:
    first, second, third = [await server.publish() for _ in range(3)]
    server.service.outbox.lost_ranges.append(LostRange(second, second))
    kept = [(await ask(server, after))[0].headers["cache-control"] for after in (0, first, second)]
    assert kept == [IMMUTABLE, "no-store", IMMUTABLE]
    assert third


async def test_price_that_is_not_stored_yet_is_not_skipped_for_ever(server: Live) -> None:
    """After a broker outage the ring has nothing up to its floor, and the leader may not have stored it yet."""
    await server.publish()
    missing = a_tick(server.hub.newest + 1)
    server.hub._ring.clear(missing.id + 5, settled=missing.id - 1)
    later = a_tick(missing.id + 10)
    waiting = asyncio.create_task(ask(server, missing.id - 1))
    while not server.hub.arrivals:
        await asyncio.sleep(0.005)
    await server.term.publish(Update(Status.OK, "3 exchanges agree.", later, silence=0))
    client, body = await waiting
    assert (msgspec.json.decode(body)["id"], client.headers["cache-control"]) == (later.id, "no-store")
    await server.service.store.append([missing, later])
    client, body = await ask(server, missing.id - 1)
    assert (msgspec.json.decode(body)["id"], client.headers["cache-control"]) == (missing.id, IMMUTABLE)


async def test_prices_dropped_while_the_store_is_read_are_gone(
    server: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await server.publish() for _ in range(6)]
    store = server.service.store
    page = store.page

    async def prune_and_page(*args: Any) -> list[Tick]:
        await store.prune(ids[2])
        return await page(*args)

    monkeypatch.setattr(type(store), "page", staticmethod(prune_and_page))
    client, _ = await ask(server, ids[0])
    assert client.status == 410


async def test_head_has_no_body(server: Live) -> None:
    await server.publish()
    async with await Client.get(server.port, "/prices/next?after=0", method="HEAD") as client:
        assert (client.status, client.headers["cache-control"]) == (200, IMMUTABLE)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12, unique=True).map(sorted), st.data())
@settings(max_examples=20, deadline=None)
def test_answer_for_an_id_never_changes(ids: list[int], data: st.DataObject) -> None:
    """Whenever it is asked for: at once or waiting; before, between and after the publications; ring or store."""
    asks = data.draw(st.lists(st.tuples(st.integers(0, 51), st.integers(0, len(ids))), max_size=8))
    store_size = data.draw(st.integers(2, 12))

    async def main() -> None:
        with TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/prices.db"
            async with live(SystemClock(), store_size=store_size, store_url=url, retention="0") as server:
                prices = next_prices(server)
                waiting: list[tuple[int, asyncio.Task[Following | None]]] = []
                for step, tick_id in enumerate([*ids, 100]):
                    for after, when in asks:
                        if when == step:
                            waiting.append((after, asyncio.create_task(prices.after(after, 30))))
                            waiting.append((after, asyncio.create_task(prices.after(after, 30))))
                    await asyncio.sleep(0)
                    await publish(server, tick_id)
                for after, answer in waiting:
                    found = await answer
                    assert found is not None
                    assert found.id == min(each for each in [*ids, 100] if each > after)
                    assert prices.is_final(after, found)

    asyncio.run(main())


def next_prices(server: Live) -> NextPrices:
    service = server.service
    streams = Streams(server.hub, server.hub._ring, service.store, ())
    return NextPrices(streams, service.outbox, service.link, Gate(at_once=4))


async def publish(server: Live, tick_id: int) -> None:
    """Store and publish a price with this id."""
    tick = a_tick(tick_id)
    await server.service.outbox.keep(tick)
    await server.term.publish(Update(Status.OK, "3 exchanges agree.", tick, silence=0))
    while server.hub.newest < tick.id:
        await asyncio.sleep(0)
