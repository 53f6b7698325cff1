"""Libraries that hand a block without data to their users as an empty message: there is none, from start to end."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from btc_price_tracker.testing import ManualClock, eventually
from interop.clients import HERE, HttpxSse, parse, program
from interop.script import HEARTBEAT, RING, read_to_the_end, send_everything, until_all_have
from live import Client, live


@asynccontextmanager
async def httpx_sse(url: str) -> AsyncIterator[HttpxSse]:
    client = HttpxSse()
    reading = asyncio.create_task(client.read(url))
    yield client
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


@pytest.fixture(scope="session")
def r3labs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built of what go.sum says, by hash."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed, and one of the clients is written in it")
    built = tmp_path_factory.mktemp("r3labs") / "r3labs"
    command = ["go", "build", "-buildvcs=false", "-mod=readonly", "-o", str(built), "."]
    subprocess.run(command, cwd=HERE / "r3labs", check=True, timeout=200)
    return built


@pytest.mark.parametrize("detach", [True, False], ids=["detached", "fallback"])
@pytest.mark.parametrize("position", ["", "?last_event_id=1", "?since=1"])
@pytest.mark.parametrize("library", ["httpx_sse", "r3labs"])
async def test_every_message_is_an_event(
    request: pytest.FixtureRequest,
    library: str,
    position: str,
    detach: bool,  # noqa: FBT001
) -> None:
    clock = ManualClock()
    path = f"/prices/stream{position}"
    async with live(clock, detach=detach, store_size=RING, heartbeat=HEARTBEAT) as server:
        for _ in range(2 * RING):
            await server.publish()
        url = server.url + path
        reading = (
            httpx_sse(url) if library == "httpx_sse" else program(request.getfixturevalue("r3labs"), url)
        )
        async with await Client.get(server.port, path) as ours, reading as theirs:
            await eventually(lambda: len(server.hub) == 2, seconds=60)
            await send_everything(server, clock)
            await server.hub.drain(0)
            await read_to_the_end(ours)
            assert ours.raw.count(b"retry: ") == 2
            await until_all_have([theirs], parse(ours.raw))
