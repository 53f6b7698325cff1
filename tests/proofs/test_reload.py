"""SIGHUP reads the tokens again where there are any, in a process of its own."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx2

from command import run
from ports import free_port
from proofs.process import command
from proofs.reader import Reader, request


async def test_sighup_reads_the_tokens_again_and_ends_revoked_streams(tmp_path: Path) -> None:
    settings = {"TOKENS_FILE": str(tmp_path / "tokens")}
    secrets = [run("token", "create", name, **settings).stdout.strip() for name in ("a", "b")]
    loop = asyncio.get_running_loop()
    async with (
        command("demo", **settings) as (process, port),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client,
    ):
        assert (await client.get("/prices/latest")).status_code == 401
        readers = [
            await Reader.open(port, request(f"/prices/stream?access_token={secret}")) for secret in secrets
        ]
        while not all(reader.ids for reader in readers):
            await asyncio.sleep(0.01)
        assert run("token", "revoke", "a", **settings).returncode == 0
        revoked_at = loop.time()
        process.send_signal(signal.SIGHUP)
        await asyncio.wait_for(readers[0].gone.wait(), 30)
        assert loop.time() - revoked_at < 5  # a second on an idle machine
        seen = len(readers[1].ids)
        while len(readers[1].ids) == seen:
            await asyncio.sleep(0.01)
        for secret, status in zip(secrets, (401, 200), strict=True):
            response = await client.get("/prices/latest", headers={"Authorization": f"Bearer {secret}"})
            assert response.status_code == status
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
        for reader in readers:
            reader.close()


async def test_sighup_during_the_start_stops_no_server_that_has_something_to_read_again(
    tmp_path: Path,
) -> None:
    """The start takes as long as a database that doesn't answer."""
    run("token", "create", "a", TOKENS_FILE=str(tmp_path / "tokens"))
    asked = asyncio.Event()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(silence, "127.0.0.1", 0) as database:
        url = f"postgresql://x@127.0.0.1:{database.sockets[0].getsockname()[1]}/x"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "btc_price_tracker", "demo", "--store-url", url, "--port", str(port)),
            env={**os.environ, "TOKENS_FILE": str(tmp_path / "tokens"), "LOG_LEVEL": "error"},
        )
        try:
            await asyncio.wait_for(asked.wait(), 30)
            process.send_signal(signal.SIGHUP)
            async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
                assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0
        finally:
            if process.returncode is None:
                process.kill()
