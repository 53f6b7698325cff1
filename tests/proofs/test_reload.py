"""SIGHUP reads the tokens again where there are any, in a process of its own."""

import asyncio
import signal
from pathlib import Path

import httpx2

from command import run
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
