"""Two processes share a port with REUSE_PORT; a third without it is refused; one goes on where the other stops."""

import asyncio
import signal

import httpx2

from command import run
from proofs.process import command


async def source(port: int) -> str:
    """The source of whichever process the kernel gives a new connection to."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        response = await client.get(f"http://127.0.0.1:{port}/sources")
    name: str = response.json()["sources"][0]["name"]
    return name


async def until_answered_by(port: int, names: set[str]) -> None:
    answered: set[str] = set()
    async with asyncio.timeout(150):
        while answered != names:
            answered.add(await source(port))


async def test_two_processes_share_a_port() -> None:
    async with (
        command("demo", "--sources", "kraken", REUSE_PORT="1") as (first, port),
        command("demo", "--sources", "gemini", REUSE_PORT="1", PORT=str(port)),
    ):
        await until_answered_by(port, {"kraken", "gemini"})
        refused = run("serve", PORT=str(port), STORE_URL="memory://")
        assert refused.returncode == 1
        assert f"PORT {port} is already in use" in refused.stderr
        first.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(first.wait(), 60) == 0
        assert {await source(port) for _ in range(20)} == {"gemini"}
