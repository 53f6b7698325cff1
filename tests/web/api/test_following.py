"""/prices/next: the price after an id, the same for every client and for ever."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btc_price_tracker.clock import SystemClock
from btc_price_tracker.price.model import Status, Update
from btc_price_tracker.web.api import following
from btc_price_tracker.web.gate import Gate
from btc_price_tracker.web.stream.shared import Streams
from live import Client, Live, a_tick, live

IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Live]:
    monkeypatch.setattr(following.install, "__defaults__", (0.3,))
    async with live(store_size=3, store_url=f"sqlite:///{tmp_path}/prices.db") as server:
        yield server


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
    while server.service.hub._arrival is None or len(server.server.server_state.connections) < 50:
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
    while server.service.hub._arrival is None:
        await asyncio.sleep(0.005)
    await server.hub.drain(0)
    client, _ = await waiting
    assert client.status == 204


async def test_head_has_no_body(server: Live) -> None:
    await server.publish()
    async with await Client.get(server.port, "/prices/next?after=0", method="HEAD") as client:
        assert (client.status, client.headers["cache-control"]) == (200, IMMUTABLE)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12, unique=True).map(sorted), st.data())
@settings(max_examples=20, deadline=None)
def test_answer_for_an_id_never_changes(ids: list[int], data: st.DataObject) -> None:
    """Whenever it is asked for: before, between and after the publications that follow."""
    asks = data.draw(st.lists(st.tuples(st.integers(0, 51), st.integers(0, len(ids))), max_size=8))

    async def main() -> None:
        answers: dict[int, int] = {}
        async with live(SystemClock()) as server:
            prices = following.NextPrices(
                Streams(server.hub, server.hub._ring, server.service.store, ()),
                server.service.outbox,
                server.service.link,
                Gate(at_once=4),
            )
            for step in range(len(ids) + 1):
                for after, when in asks:
                    if when == step and (found := await prices.after(after, 0)):
                        assert answers.setdefault(after, found.id) == found.id
                if step < len(ids):
                    tick = a_tick(ids[step])
                    await server.service.outbox.keep(tick)
                    await server.term.publish(Update(Status.OK, "3 exchanges agree.", tick, silence=0))
                    while server.hub.newest < tick.id:
                        await asyncio.sleep(0)
            for after, answer in answers.items():
                assert answer == min(each for each in ids if each > after)

    asyncio.run(main())
