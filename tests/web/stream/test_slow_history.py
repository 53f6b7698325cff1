"""History and the present meet without a seam, however slowly a client reads and whatever happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from btc_price_tracker.price.model import Status, Update
from btc_price_tracker.testing import ManualClock, eventually
from btc_price_tracker.web.server.detach import DetachableResponse
from live import Client, Live, a_tick, live
from proofs.reader import Reader, request

RING = 10

pytestmark = pytest.mark.parametrize("detach", [True, False], ids=["detached", "fallback"])


@pytest.fixture
async def server(detach: bool, tmp_path: Path) -> AsyncIterator[Live]:  # noqa: FBT001 - the parameter of every test
    async with live(detach=detach, store_size=RING, store_url=f"sqlite:///{tmp_path}/prices.db") as server:
        yield server


async def test_a_price_that_is_stored_but_not_yet_published_comes_once(server: Live) -> None:
    ids = [await server.publish() for _ in range(2 * RING)]
    coming = a_tick(max(server.clock.now(), ids[-1] + 1))
    await server.service.outbox.keep(coming)
    async with await Client.get(server.port, f"/prices/stream?since={ids[0] // 1000}") as client:
        assert await client.prices(len(ids)) == ids
        await server.term.publish(Update(Status.OK, "3 exchanges agree.", coming))
        await eventually(lambda: server.hub.head == coming.id)
        fresh = await server.publish()
        assert await client.prices(2) == [coming.id, fresh]


async def test_what_leaves_the_ring_while_a_client_reads_history_is_not_lost(server: Live) -> None:
    ids = [await server.publish() for _ in range(2000)]
    reader = await Reader.open(server.port, request("/prices/stream?since=0"), receive_buffer=4096)
    await eventually(lambda: reader.ids)
    reader.pause()
    ids += [await server.publish() for _ in range(5 * RING)]
    assert reader.ids[-1] < ids[-1000]  # the ring has gone far past what it reads
    reader.resume()
    await eventually(lambda: reader.ids[-1] == ids[-1], seconds=60)
    assert reader.ids == ids
    assert not reader.gaps
    reader.close()


async def test_what_leaves_the_ring_while_a_socket_leaves_the_server_is_not_lost(
    server: Live,
    detach: bool,  # noqa: FBT001 - see server
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = [await server.publish() for _ in range(2)]
    coming = [ids[-1] + 1 + number for number in range(2 * RING)] if detach else []
    leave = DetachableResponse.duplicate

    def leave_in_a_busy_moment(exchange: DetachableResponse) -> int:
        for tick_id in coming:
            update = Update(Status.OK, "3 exchanges agree.", a_tick(tick_id))
            asyncio.get_running_loop().call_soon(server.hub.publish, update)
        return leave(exchange)

    monkeypatch.setattr(DetachableResponse, "duplicate", leave_in_a_busy_moment)
    async with await Client.get(server.port, "/prices/stream", last_event_id=str(ids[0])) as client:
        assert await client.prices(1 + len(coming)) == [ids[1], *coming]
        assert b"gap" not in client.raw


async def test_since_the_beginning_of_time_has_no_gap(server: Live) -> None:
    async with await Client.get(server.port, "/prices/stream?since=0") as client:
        fresh = await server.publish()
        assert await client.prices(1) == [fresh]
        assert b"gap" not in client.raw


async def test_a_client_amid_its_history_is_sent_away_cleanly_at_the_end(server: Live) -> None:
    ids = [await server.publish() for _ in range(2000)]
    reader = await Reader.open(server.port, request("/prices/stream?since=0"), receive_buffer=4096)
    await eventually(lambda: reader.ids)
    reader.pause()
    await server.hub.drain(0)
    reader.resume()
    await eventually(lambda: reader.ended, seconds=60)
    assert reader.ids == ids[: len(reader.ids)]
    assert len(reader.ids) < len(ids)
    assert not reader.gaps
    assert 1000 <= reader.retries[-1] <= 5000
    reader.close()


async def test_what_retention_drops_while_a_client_reads_is_said(detach: bool, tmp_path: Path) -> None:  # noqa: FBT001 - see server
    store_url = f"sqlite:///{tmp_path / 'prices.db'}"
    async with live(ManualClock(), detach=detach, store_size=RING, store_url=store_url) as server:
        ids = [await server.publish() for _ in range(2500)]
        reader = await Reader.open(server.port, request("/prices/stream?since=0"), receive_buffer=4096)
        await eventually(lambda: reader.ids)
        reader.pause()
        ids.append(await server.publish())
        await server.service.store.prune(ids[2000])
        reader.resume()
        await eventually(lambda: reader.ids[-1] == ids[-1], seconds=60)
        got = [tick_id for tick_id in ids if tick_id in set(reader.ids)]
        assert reader.ids == got
        assert reader.ids != ids  # else nothing was dropped in time
        # Several gaps where a page is read between two steps of the retention.
        lost = [tick_id for first, last in reader.gaps for tick_id in ids if first <= tick_id <= last]
        assert lost == sorted(set(ids) - set(got))
        reader.close()
