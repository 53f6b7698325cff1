"""`/prices/stream?with=sources`, on the detached path and on the fallback."""

from collections.abc import AsyncIterator

import pytest

from btc_price_tracker.price.model import Status
from btc_price_tracker.testing import ManualClock, eventually
from live import Client, Live, live

pytestmark = pytest.mark.parametrize("detach", [True, False], ids=["detached", "fallback"])


@pytest.fixture
async def server(detach: bool) -> AsyncIterator[Live]:  # noqa: FBT001 - the parameter of every test here
    async with live(ManualClock(), detach=detach) as server:
        yield server


async def sources(server: Live) -> bytes:
    async with await Client.get(server.port, "/sources") as client:
        return await client.body()


async def next_sources(client: Client) -> bytes:
    """Read on to the end of the next `sources` event; its data."""
    while (await client.event()).name != "sources":
        pass
    return client.raw.rpartition(b"event: sources\ndata: ")[2].partition(b"\n\n")[0]


async def test_sources_say_what_the_route_says_at_the_start_and_once_a_round(server: Live) -> None:
    await server.publish()
    async with await Client.get(server.port, "/prices/stream?with=sources") as client:
        assert await next_sources(client) == await sources(server)
        await server.clock.advance(10)  # type: ignore[attr-defined] # a ManualClock
        fresh = await server.publish("70000.00", status=Status.DEGRADED, reason="2 exchanges agree.")
        assert await next_sources(client) == await sources(server)
        assert b'"price":70000.00' in client.raw
        assert client.raw.count(b"event: sources") == 2
        assert client.raw.index(b"id: %d" % fresh) < client.raw.rindex(b"event: sources")


async def test_a_round_without_a_price_brings_the_sources_too(server: Live) -> None:
    async with await Client.get(server.port, "/prices/stream?with=sources") as client:
        await next_sources(client)
        await server.announce(Status.STALE, "No price yet: no exchange answers.")
        assert b"no exchange answers" in await next_sources(client)


async def test_streams_that_do_not_ask_get_none(server: Live) -> None:
    async with (
        await Client.get(server.port, "/prices/stream") as plain,
        await Client.get(server.port, "/prices/stream?with=sources") as client,
    ):
        await eventually(lambda: len(server.hub) == 2)
        ids = [await server.publish() for _ in range(3)]
        assert await plain.prices(3) == ids
        assert b"event: sources" not in plain.raw
        assert await client.prices(3) == ids


async def test_a_resuming_client_gets_every_price_and_the_sources_as_they_are_now(server: Live) -> None:
    ids = [await server.publish() for _ in range(5)]
    path = "/prices/stream?with=sources"
    async with await Client.get(server.port, path, last_event_id=str(ids[1])) as client:
        ids.append(await server.publish())
        assert await client.prices(4) == ids[2:]
        assert b"gap" not in client.raw
        assert 1 <= client.raw.count(b"event: sources") <= 2


async def test_sources_come_before_a_long_replay_from_the_store(detach: bool, tmp_path: object) -> None:  # noqa: FBT001
    async with live(detach=detach, store_size=10, store_url=f"sqlite:///{tmp_path}/prices.db") as server:
        ids = [await server.publish() for _ in range(600)]
        path = f"/prices/stream?since={ids[0] // 1000}&with=sources"
        async with await Client.get(server.port, path) as client:
            assert await client.prices(600) == ids
            ids.append(await server.publish())
            assert await client.prices(1) == ids[-1:]
            assert client.raw.index(b"event: sources") < client.raw.index(b"id: ")
            assert client.raw.count(b"event: status") == 1


@pytest.mark.parametrize("value", ["", "Sources", "prices", "sources,prices"])
async def test_another_value_of_with_is_400_and_says_which(server: Live, value: str) -> None:
    async with await Client.get(server.port, f"/prices/stream?with={value}") as client:
        assert client.status == 400
        body = await client.body()
        assert b"with must be sources" in body
        assert value.encode() in body
