"""A token that is revoked, or loses its scope, loses its streams; those of others stay."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from btc_price_tracker.access.scopes import NONE, Scope
from btc_price_tracker.fanout.counts import Reason
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.testing import eventually
from live import Client, Live, live
from tokens import TOKENS, write_tokens

STREAM = "/prices/stream"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_tokens(tmp_path / "tokens")
    return tmp_path / "tokens"


@pytest.fixture(params=[True, False], ids=["detached", "kept"])
async def server(path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Live]:
    async with live(tokens_file=path, access_tokens="plain", detach=request.param) as server:
        await server.publish()
        yield server


OPENED: list[Client] = []


@pytest.fixture(autouse=True)
async def _clients() -> AsyncIterator[None]:
    """Close what `stream` opens."""
    yield
    for client in OPENED:
        await client.__aexit__()
    OPENED.clear()


async def stream(server: Live, token: str, query: str = "", prices: int = 1) -> Client:
    client = await Client.get(server.port, STREAM + query, Authorization=f"Bearer {token}")
    OPENED.append(client)
    assert client.status == 200
    await client.prices(prices)
    return client


async def rest_of(client: Client) -> bytes:
    with_events = len(client.raw)
    async with asyncio.timeout(30):
        return (await client.body())[with_events:]


async def test_revocation_ends_the_streams_of_that_token_alone(server: Live, path: Path) -> None:
    revoked = [await stream(server, TOKENS["all"]) for _ in range(2)]
    others = [await stream(server, TOKENS["stream"]), await stream(server, "plain")]
    loop = asyncio.get_running_loop()
    write_tokens(path, all=NONE)
    began = loop.time()
    for client in revoked:
        assert b"retry: " in await rest_of(client)
        assert client.ended
    assert loop.time() - began < 5  # one second on an idle machine
    assert server.hub.counts.closed == {Reason.REVOKED: 2}
    published = await server.publish()
    for client in others:
        assert await client.prices(1) == [published]
    async with await Client.get(server.port, STREAM, Authorization=f"Bearer {TOKENS['all']}") as client:
        assert client.status == 401


async def test_streams_end_when_the_token_loses_their_scope(server: Live, path: Path) -> None:
    client = await stream(server, TOKENS["stream"])
    other = await stream(server, TOKENS["all"])
    write_tokens(path, stream=frozenset({Scope.HISTORY}), all=frozenset({Scope.STREAM}))
    await rest_of(client)
    published = await server.publish()
    assert await other.prices(1) == [published]
    async with await Client.get(server.port, STREAM, Authorization=f"Bearer {TOKENS['stream']}") as client:
        assert client.status == 403
    assert server.hub.counts.closed == {Reason.REVOKED: 1}


async def test_a_stream_that_awaits_its_history_ends_as_well(
    server: Live, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = asyncio.Event()

    async def span(_: MemoryStore) -> None:
        reading.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(MemoryStore, "span", span)
    client = await stream(server, TOKENS["all"], "?since=0", prices=0)
    await reading.wait()
    write_tokens(path, all=NONE)
    with pytest.raises((EOFError, ConnectionError)):
        await rest_of(client)
    await eventually(lambda: server.hub.counts.closed == {Reason.REVOKED: 1})


@pytest.mark.parametrize("left", [NONE, {Scope.DOCS}, {Scope.STREAM}, {Scope.HISTORY}])
async def test_wait_for_the_next_price_ends_with_the_last_scope_for_it(path: Path, left: set[Scope]) -> None:
    async with live(tokens_file=path) as server:
        last = await server.publish()
        async with Client(*await asyncio.open_connection("127.0.0.1", server.port)) as client:
            fields = f"Host: x\r\nAuthorization: Bearer {TOKENS['all']}\r\n\r\n"
            client.writer.write(f"GET /prices/next?after={last} HTTP/1.1\r\n{fields}".encode())
            await eventually(lambda: server.server.server_state.tasks)
            write_tokens(path, all=frozenset(left))
            server.service.reloads.all()
            for _ in range(10):
                await asyncio.sleep(0)
            await server.publish()
            if left & {Scope.STREAM, Scope.HISTORY}:
                await client.head()
                assert client.status == 200
            else:
                with pytest.raises((EOFError, ConnectionError)):
                    await client.head()


async def test_place_of_a_revoked_stream_is_free_again(path: Path) -> None:
    async with live(tokens_file=path, max_clients=1) as server:
        await server.publish()
        client = await stream(server, TOKENS["all"])
        write_tokens(path, all=NONE)
        await rest_of(client)
        await stream(server, TOKENS["stream"])


async def test_new_token_is_valid_soon(server: Live, path: Path) -> None:
    async def status() -> int:
        async with await Client.get(
            server.port, "/sources", Authorization=f"Bearer {TOKENS['sources']}"
        ) as client:
            return client.status

    write_tokens(path, sources=NONE)
    while await status() != 401:
        await asyncio.sleep(0.01)
    write_tokens(path)
    while await status() != 200:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "content", [b"{", b'{"name": "all"}', b"\xff\xfe", None], ids=["json", "fields", "bytes", "gone"]
)
async def test_broken_file_changes_nothing_and_is_reported(
    server: Live, path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await stream(server, TOKENS["all"])
    break_file(path, content)
    reported = ""
    while "tokens not reloaded" not in reported:
        await asyncio.sleep(0.01)
        reported += capsys.readouterr().out
    published = await server.publish()
    assert await client.prices(1) == [published]
    await stream(server, TOKENS["stream"])
    write_tokens_anew(path)
    await rest_of(client)


def break_file(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


def write_tokens_anew(path: Path) -> None:
    path.unlink(missing_ok=True)
    write_tokens(path, all=NONE)
