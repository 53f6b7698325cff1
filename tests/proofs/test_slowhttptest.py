"""slowhttptest in its four modes against a server, while 200 honest streams and requests go on unharmed."""

import asyncio
import shutil
import statistics
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import httpx2
import pytest

from btc_price_tracker.testing import eventually
from proofs.process import Service, service
from proofs.reader import Reader

STREAMS = 200
CALM = 30  # prices before the attack
PRICES = 120  # while the attack goes on
PERIOD = 0.1  # seconds between prices
CONNECTIONS = 500
SECONDS = 10  # of the attack
HELD = 256  # kilobytes at most for each attacker: 64 that wait, a response more; the allocator may keep them
LIMITS = {"head_timeout": 2, "write_timeout": 2}

pytestmark = pytest.mark.skipif(
    shutil.which("slowhttptest") is None, reason="slowhttptest is missing (apt-get install slowhttptest)"
)

MODES = {
    "slowloris": ["-H", "-i", "1"],
    "slow body": ["-B", "-i", "1", "-s", "100000", "-t", "POST"],
    "slow read": ["-X", "-k", "5", "-n", "1", "-z", "16", "-w", "16", "-y", "64"],
    "range": ["-R", "-a", "1", "-b", "3000"],
}


async def attack(mode: str, port: int, folder: Path) -> str:
    """Run slowhttptest for a while; return its report."""
    process = await asyncio.create_subprocess_exec(
        *("slowhttptest", *MODES[mode]),
        *("-c", str(CONNECTIONS), "-r", str(CONNECTIONS), "-l", str(SECONDS), "-p", "2"),
        *("-u", f"http://127.0.0.1:{port}/openapi.json", "-v", "1"),
        cwd=folder,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    output, _ = await process.communicate()
    return output.decode()


async def request(port: int, times: list[float], ended: asyncio.Event) -> None:
    """Ask for the price, again and again; note the seconds each takes."""
    loop = asyncio.get_running_loop()
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        while not ended.is_set():
            started = loop.time()
            assert (await client.get("/prices/latest")).status_code == 200
            times.append(loop.time() - started)
            await asyncio.sleep(PERIOD)


async def forgotten(server: Service) -> None:
    """Wait until the server holds the honest clients' connections only."""
    async with asyncio.timeout(60):
        while (await server.ask("census"))["connections"] > 1:
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("mode", MODES)
async def test_honest_clients_notice_nothing(mode: str, tmp_path: Path) -> None:
    async with service(connection_limits=LIMITS) as server:
        await server.ask("publish", 1, 0)
        readers = [await Reader.open(server.port) for _ in range(STREAMS)]
        await eventually(lambda: all(each.ids for each in readers))
        before = await server.ask("census")
        times: list[float] = []
        ended = asyncio.Event()
        asking = asyncio.create_task(request(server.port, times, ended))
        calm_ids = (await server.ask("publish", CALM, PERIOD))["ids"]
        calm, times[:] = statistics.median(times), []
        attacking = asyncio.create_task(attack(mode, server.port, tmp_path))
        published = await server.ask("publish", PRICES, PERIOD)
        report = await attacking
        ended.set()
        await asking
        assert "Exit status" in report, report
        await eventually(lambda: all(each.ids[1:] == calm_ids + published["ids"] for each in readers))
        assert statistics.median(times) < 10 * calm  # a busy machine makes it a few times as long
        await forgotten(server)
        after = await server.ask("census")
        assert after["streams"] == STREAMS
        assert after["kilobytes"] < before["kilobytes"] + CONNECTIONS * HELD
        for each in readers:
            each.close()
