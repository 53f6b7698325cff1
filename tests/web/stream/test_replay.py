"""Replays are bounded in concurrency, memory and loop time, on our server and on any ASGI server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.counts import Reason
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.membership import HubLimits
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store, open_store
from btc_price_tracker.store.outbox import LostRange
from btc_price_tracker.testing import ManualClock, eventually
from btc_price_tracker.web.gate import Gate
from btc_price_tracker.web.limits import Limits, Slot, StreamLimits
from btc_price_tracker.web.server.detach import DETACHABLE
from btc_price_tracker.web.stream import replay as replay_module
from btc_price_tracker.web.stream.position import Anchor, Position
from btc_price_tracker.web.stream.response import PriceStream
from btc_price_tracker.web.stream.shared import Streams
from live import Client, Live, a_tick, live
from proofs.reader import Reader, request

RING = 10
HEARTBEAT = 0.01  # seconds
AGO = Position(Anchor.TIME, 0)


class Asgi:
    """An ASGI server's side of one stream."""

    def __init__(self, shared: Streams, position: Position = AGO, exchange: Any = None) -> None:
        self.sent: list[bytes] = []
        self._hang_up = asyncio.Event()
        extensions = {} if exchange is None else {DETACHABLE: exchange}
        scope = {"method": "GET", "scheme": "http", "http_version": "1.1", "extensions": extensions}
        self.task = asyncio.create_task(
            PriceStream(shared, position, Slot(Limits(shared.hub, StreamLimits())))(
                scope, self._receive, self._send
            )
        )

    async def _receive(self) -> dict[str, Any]:
        await self._hang_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message.get("body"):
            self.sent.append(message["body"])

    @property
    def body(self) -> bytes:
        return b"".join(self.sent)

    async def wait_for_disconnect(self) -> None:
        self._hang_up.set()
        await self.task


async def shared_streams(stored: int, ring_size: int) -> Streams:
    """So many prices in the store, the newest of them in the ring as well."""
    store = await open_store("memory://", capacity=100_000)
    ticks = [a_tick(1000 * number) for number in range(1, stored + 1)]
    await store.append(ticks)
    ring = Ring(ring_size)
    for tick in ticks:
        ring.append(tick.id, sse.price(tick))
    hub = Hub(ring, ManualClock(), HEARTBEAT, ticks[-1])
    return Streams(hub, ring, store, [])


def events(stored: int) -> bytes:
    return b"".join(
        b"".join(sse.unchunk(sse.price(a_tick(1000 * number)))) for number in range(1, stored + 1)
    )


@asynccontextmanager
async def clients(shared: Streams, number: int) -> AsyncIterator[list[Asgi]]:
    clients = [Asgi(shared) for _ in range(number)]
    try:
        yield clients
    finally:
        for client in clients:
            await client.wait_for_disconnect()


@pytest.mark.parametrize("ring_size", [10_000, RING], ids=["ring", "store"])
async def test_replay_is_sent_in_pages_with_the_same_bytes(ring_size: int) -> None:
    shared = await shared_streams(3000, ring_size)
    async with clients(shared, 1) as (client,):
        await eventually(lambda: client.body.endswith(events(3000)[-200:]))
        assert events(3000) in client.body
        assert len(client.sent) <= 3000 / replay_module.PAGE + 5
        heartbeats = client.body.count(b"event: heartbeat")  # of a slow replay: not counted
        assert shared.hub.counts.events == client.body.count(b"\n\n") - heartbeats > 3000


async def test_gaps_in_a_replay_are_counted() -> None:
    shared = await shared_streams(500, RING)
    with_losses = replace(shared, lost_ranges=[LostRange(1500, 1600), LostRange(2500, 2600)])
    async with clients(with_losses, 1) as (client,):
        await eventually(lambda: client.body.endswith(events(500)[-200:]))
    assert client.body.count(b"event: gap") == shared.hub.counts.gaps == 2


async def test_many_replays_do_not_block_the_loop() -> None:
    shared = await shared_streams(1000, 10_000)
    shared.hub.limits = HubLimits(page=10)
    async with clients(shared, 100) as crowd:
        await eventually(lambda: all(len(client.sent) >= 2 for client in crowd))
        most = 0
        while any(client.body.count(b"\ndata:") < 1001 for client in crowd):
            before = sum(len(client.sent) for client in crowd)
            await asyncio.sleep(0)
            most = max(most, sum(len(client.sent) for client in crowd) - before)
    assert 0 < most <= 20


@dataclass
class Pages:
    """The part of a store that reads pages."""

    page: Callable[[int, int | None, int], Awaitable[list[Tick]]]


class SlowStore:
    """A store whose page reads wait for `go_on`; counts the concurrent ones."""

    def __init__(self, store: Store | Pages) -> None:
        self.go_on = asyncio.Event()
        self.reading = 0
        self.most = 0
        self.limits: set[int] = set()
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        self.limits.add(limit)
        self.reading += 1
        self.most = max(self.most, self.reading)
        try:
            await self.go_on.wait()
            return await self._store.page(after, until, limit)
        finally:
            self.reading -= 1


def with_store(shared: Streams, store: Any) -> Streams:
    return Streams(shared.hub, shared.ring, store, [], replays=Gate(at_once=2))


async def test_deep_replays_are_bounded_and_waiting_ones_get_heartbeats() -> None:
    shared = await shared_streams(500, RING)
    store = SlowStore(shared.store)
    async with clients(with_store(shared, store), 10) as waiting:
        await eventually(lambda: all(client.body.count(b"event: heartbeat\n") >= 2 for client in waiting))
        assert (store.reading, store.most) == (2, 2)
        assert not any(b"id: " in client.body for client in waiting)
        store.go_on.set()
        last = events(500)[-200:]
        await eventually(lambda: all(client.body.endswith(last) for client in waiting))
        for client in waiting:
            prices = [event for event in client.body.split(b"\n\n") if event.startswith(b"id: ")]
            assert b"\n\n".join([*prices, b""]) == events(500)
    assert store.most == 2


async def test_waiting_replays_end_cleanly_at_shutdown() -> None:
    shared = await shared_streams(500, RING)
    store = SlowStore(shared.store)
    async with clients(with_store(shared, store), 5) as waiting:
        await eventually(lambda: store.reading == 2)
        await shared.hub.drain(0)
        store.go_on.set()
        await asyncio.gather(*(client.task for client in waiting))
        assert all(client.body.split(b"\n\n")[-2].startswith(b"retry: ") for client in waiting)
        assert sum(b"id: " in client.body for client in waiting) == 2


class DetachableResponse:
    """A stand-in for web.exchange.DetachableResponse; `closing` means that the client has disconnected."""

    closing = False
    drained = True
    unframed = False
    left = False

    def hold_nothing_back(self) -> None:
        pass

    def count_as_stream(self) -> None:
        pass

    def let_go(self) -> None:
        self.left = True


async def test_disconnect_during_replay_never_joins_the_hub() -> None:
    shared = await shared_streams(500, RING)
    store, exchange = SlowStore(shared.store), DetachableResponse()
    client = Asgi(with_store(shared, store), exchange=exchange)
    await eventually(lambda: store.reading)
    exchange.closing = True
    store.go_on.set()
    await client.task
    assert exchange.left
    assert (shared.hub.counts.joined, shared.hub.counts.abandoned) == (0, 1)


@pytest.fixture(params=[True, False], ids=["detached", "fallback"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Live]:
    """A server whose store has 3,000 prices older than the ring, of 1970: without retention they stay."""
    store_url = f"sqlite:///{tmp_path}/prices.db"
    async with live(detach=request.param, store_url=store_url, retention="0") as server:
        await server.publish()
        await server.service.store.append([a_tick(1000 * number) for number in range(1, 3001)])
        yield server


async def test_disconnects_during_replays_cancel_their_work(
    server: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SlowStore(Pages(server.service.store.page))
    monkeypatch.setattr(server.service.store, "page", store.page)
    clients = [await Client.get(server.port, "/prices/stream?since=0") for _ in range(20)]
    await eventually(lambda: store.reading)
    for client in clients:
        client.writer.transport.abort()
    await eventually(lambda: not server.server.server_state.tasks)
    assert (server.hub.counts.joined, server.hub.counts.abandoned) == (0, 20)
    assert server.hub.counts.closed == {Reason.CLIENT: 20}
    assert store.reading == 0


@asynccontextmanager
async def unread_replays(server: Live, number: int = 10) -> AsyncIterator[list[Reader]]:
    """Clients that read nothing, once the server has unsent data for each."""
    readers = []
    try:
        for _ in range(number):
            readers.append(
                await Reader.open(server.port, request("/prices/stream?since=0"), receive_buffer=4096)
            )
            readers[-1].pause()
        connections = server.server.server_state.connections
        await eventually(lambda: len(connections) == number and all(map(unsent, connections)))
        yield readers
    finally:
        for reader in readers:
            reader.close()


async def test_unread_replays_hold_one_page_each(server: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SlowStore(Pages(server.service.store.page))
    store.go_on.set()
    monkeypatch.setattr(server.service.store, "page", store.page)
    async with unread_replays(server) as readers:
        await one_page_is_held(server, store, readers[0])


async def one_page_is_held(server: Live, store: SlowStore, reader: Reader) -> None:
    assert max(map(unsent, server.server.server_state.connections)) < 64 * 1024
    assert max(store.limits) <= replay_module.PAGE
    assert server.hub.counts.joined == 0
    reader.resume()
    await eventually(lambda: len(reader.ids) == 3001)
    assert reader.ids == sorted(set(reader.ids))


async def test_shutdown_aborts_unread_replays_without_tracebacks(
    server: Live, caplog: pytest.LogCaptureFixture
) -> None:
    async with unread_replays(server):
        server.server.config.timeout_graceful_shutdown = 0  # no time for those that don't read
        await server.hub.drain(0)
        server.server.stop()
        await eventually(lambda: not server.server.server_state.tasks)
    assert not [record for record in caplog.records if record.exc_info]


def unsent(connection: Any) -> int:
    return int(connection.transport.get_write_buffer_size())
