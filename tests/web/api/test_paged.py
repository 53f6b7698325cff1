"""Long responses are sent page by page: the same bytes in bounded memory, whatever the client does."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.candles import Candle, roll_up
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store
from btc_price_tracker.testing import ManualClock, eventually
from btc_price_tracker.web.api import history
from btc_price_tracker.web.api.reply import encoder
from btc_price_tracker.web.api.views import CandleView, PriceView
from btc_price_tracker.web.gate import Gate
from live import Client, Live, a_tick, live
from proofs.reader import request

NOW = 1_764_000_000  # seconds
MANY = 10_000  # rows: ten times what the kernel holds for a client that doesn't read

HISTORY = [a_tick((NOW - 100_000 + 10 * n) * 1000, f"{69_000 + n % 100}.{n % 100:02}") for n in range(MANY)]


@pytest.fixture
async def server() -> AsyncIterator[Live]:
    async with live(ManualClock(NOW * 1000), store_size=50_000) as server:
        yield server


def as_csv(ticks: list[Tick]) -> bytes:
    rows = [
        [
            str(getattr(PriceView.of(tick), name)).replace("False", "false")
            for name in PriceView.__struct_fields__
        ]
        for tick in ticks
    ]
    return "".join(f"{','.join(row)}\r\n" for row in [PriceView.__struct_fields__, *rows]).encode()


def as_json(ticks: list[Tick]) -> bytes:
    return encoder.encode([PriceView.of(tick) for tick in ticks])


WRITTEN = {"json": as_json, "csv": as_csv}


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_pages_give_the_bytes_of_one_answer(
    server: Live, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(history, "PAGE", 3)
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, verify=False) as client:
        for stored in range(9):
            await server.service.store.append(HISTORY[:stored])
            for limit in range(1, 10):
                answer = await client.get(f"/prices?limit={limit}&format={form}")
                rows = HISTORY[: min(stored, limit)]
                assert answer.content == WRITTEN[form](rows)
                assert ("next" in answer.links) == (stored > limit)
                if stored > limit:
                    assert answer.links["next"]["url"].endswith(f"after={rows[-1].id}")
                headed = await client.head(f"/prices?limit={limit}&format={form}")
                for name in ("link", "cache-control", "content-type", "content-length"):
                    assert headed.headers.get(name) == answer.headers.get(name)


async def test_candle_pages_give_the_bytes_of_one_answer(
    server: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE", 3)
    await server.service.store.append(HISTORY[:200])
    rolled = list(roll_up(HISTORY[:200], 60))
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, verify=False) as client:
        for held in (0.5, 0.0):  # kept until the client has it all, or rolled up anew for each page
            monkeypatch.setattr(history, "KEPT", held)
            for limit in range(1, len(rolled) + 2):
                answer = await client.get(f"/prices/candles?interval=1m&limit={limit}")
                rows = rolled[:limit]
                assert answer.content == encoder.encode([CandleView.of(row, 60, NOW) for row in rows])
                assert ("next" in answer.links) == (len(rolled) > limit)


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_http_1_0_gets_an_unchunked_body(server: Live, form: str) -> None:
    await server.service.store.append(HISTORY)
    path = f"/prices?limit={MANY}&format={form}"
    async with await Client.get(server.port, path, version="1.0") as client:
        assert "transfer-encoding" not in client.headers
        assert client.headers["connection"] == "close"
        assert await client.body() == WRITTEN[form](HISTORY)
        assert client.ended


async def test_connection_is_kept_alive_after_a_paged_response(server: Live) -> None:
    await server.service.store.append(HISTORY)
    async with await Client.get(server.port, f"/prices?limit={MANY}") as client:
        assert await client.body() == as_json(HISTORY)
        client.writer.write(request("/healthz"))
        await client.head()
        assert client.status == 200


class Reads:
    """Records the limits of page reads."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pages: list[int] = []
        self.fails = False
        self._page = store.page
        monkeypatch.setattr(store, "page", self.page)

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        if self.fails:
            raise StoreError("the disk is gone")
        self.pages.append(limit)
        return await self._page(after, until, limit)


@pytest.fixture
def reads(server: Live, monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(server.service.store, monkeypatch)


async def slow_reader(server: Live, path: str) -> Client:
    """A client that has read only the head of a response, with a small receive buffer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", server.port))
    client = Client(*await asyncio.open_connection(sock=sock))
    client.writer.write(request(path))
    await client.head()
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]
    await eventually(lambda: any(map(unsent, server.server.server_state.connections)))
    return client


def unsent(connection: Any) -> int:
    return int(connection.transport.get_write_buffer_size())


async def test_client_that_does_not_read_holds_one_page_and_no_turn(server: Live, reads: Reads) -> None:
    await server.service.store.append(HISTORY)
    clients = [await slow_reader(server, f"/prices?limit={MANY}") for _ in range(10)]
    (most,) = {max(map(unsent, server.server.server_state.connections))}
    assert 0 < most < 64 * 1024
    assert sum(reads.pages) < len(clients) * MANY / 2
    assert max(reads.pages) == history.PAGE
    async with await Client.get(server.port, "/prices?limit=1") as client:  # the gate is free
        assert client.status == 200
    clients[0].reader._transport.resume_reading()  # type: ignore[attr-defined]
    assert await clients[0].body() == as_json(HISTORY)
    for slow in clients:
        slow.close()


async def test_candles_are_not_kept_for_a_slow_client(server: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[list[Candle]] = []
    roll = server.service.store.candles

    async def rolled(*args: int) -> list[Candle]:
        kept.append(await roll(*args))
        return kept[-1]

    monkeypatch.setattr(server.service.store, "candles", rolled)
    monkeypatch.setattr(history, "KEPT", 0.05)
    ticks = [a_tick((NOW - 300_000 + 60 * n) * 1000) for n in range(5000)]
    await server.service.store.append(ticks)
    slow = await slow_reader(server, "/prices/candles?interval=1m&limit=10000")
    await eventually(lambda: not kept[0])
    slow.reader._transport.resume_reading()  # type: ignore[attr-defined]
    expected = [CandleView.of(row, 60, NOW) for row in roll_up(ticks, 60)]
    assert await slow.body() == encoder.encode(expected)
    assert max(map(len, kept[1:])) == history.PAGE
    slow.close()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_failure_amid_a_body_is_visible_to_the_client(server: Live, reads: Reads, version: str) -> None:
    await server.service.store.append(HISTORY)
    with capture_logs() as lines:
        path = f"/prices?limit={MANY}&format=csv"
        async with await Client.get(server.port, path, version=version) as client:
            reads.fails = True
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await client.body()
        await eventually(lambda: not server.server.server_state.tasks)
    assert [line["event"] for line in lines] == ["response truncated"]


async def when_set(event: asyncio.Event, read: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    await event.wait()
    return await read(*args)


async def test_overload_refuses_history_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gate.__init__, "__defaults__", (3, 20.0))  # waiting, timeout
    async with live() as server:
        newest = await server.publish()
        go_on = asyncio.Event()

        for method in ("page", "get"):
            read = getattr(server.service.store, method)
            monkeypatch.setattr(server.service.store, method, partial(when_set, go_on, read))
        paths = ["/prices?limit=10", "/prices/1", "/prices", "/prices?format=csv"] * 5
        asked = [asyncio.create_task(Client.get(server.port, path)) for path in paths]
        await eventually(lambda: sum(task.done() for task in asked) == len(paths) - 4 - 3)
        for path in ("/healthz", "/readyz", "/prices/latest", "/metrics", "/sources", "/"):
            async with await Client.get(server.port, path) as client:
                assert client.status == 200, path
        async with await Client.get(server.port, "/prices/stream") as stream:
            assert await stream.prices(1) == [newest]
        refused = [task.result() for task in asked if task.done()]
        for client in refused:
            assert client.status == 503
            assert client.headers["content-type"] == "application/problem+json"
            assert 1 <= int(client.headers["retry-after"]) <= 5
        go_on.set()
        answered = [client for task in asked if (client := await task) not in refused]
        assert {client.status for client in answered} == {200, 404}
        for client in (*refused, *answered):
            client.close()
