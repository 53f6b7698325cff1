"""Clients that ask for one price after the other through Varnish, while the instances behind it restart."""

import asyncio
import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from random import uniform

import msgspec
import pytest

from broker import valkey
from btc_price_tracker.settings.open_files import raise_file_limit
from btc_price_tracker.store import open_store
from databases.postgres import PostgresServer
from deploy.proxies import Proxy, need, running
from proofs import balancers
from proofs.instances import fleet
from proofs.trouble import Trouble

CLIENTS = 1000
AT_MOST = 2  # requests that reach the origin for one price and cache


async def poll(cache: Proxy, ids: list[int]) -> None:
    """Ask for the price after the last one for ever; after a failure, ask again."""
    while True:
        with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            async with asyncio.timeout(30), await cache.get(f"/prices/next?after={ids[-1]}") as client:
                if client.status == 200:
                    ids.append(msgspec.json.decode(await client.body())["id"])
                    continue
        await asyncio.sleep(uniform(0.1, 0.3))


@contextmanager
def upstream_log(folder: Path) -> Iterator[Path]:
    """The URL and the status of each request that Varnish sends upstream."""
    log = folder / "upstream.log"
    command = [need("varnishncsa"), "-n", str(folder / "work"), "-b", "-F", "%q %s", "-w", str(log)]
    process = subprocess.Popen(command)
    try:
        yield log
    finally:
        process.terminate()
        process.wait()


@pytest.mark.timeout(240)
async def test_no_price_is_missed_through_a_cache_while_instances_restart(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    raise_file_limit()
    need("haproxy")
    store_url = await postgres_server.new_schema()
    async with AsyncExitStack() as stack:
        server = stack.enter_context(valkey.running())
        service = await stack.enter_async_context(fleet([server.new_url()] * 3, store_url, tmp_path))
        await service.ready()
        balancer = stack.enter_context(balancers.haproxy(service.ports, tmp_path))
        assert balancer is not None
        cache = await stack.enter_async_context(running("varnish", tmp_path, balancer))
        log = stack.enter_context(upstream_log(tmp_path))
        first = (await service.instances[0].get("/prices/latest"))["id"]
        transcripts = [[first] for _ in range(CLIENTS)]
        polling = [asyncio.create_task(poll(cache, ids)) for ids in transcripts]
        trouble = Trouble(service, server, [])
        for make in (trouble.restart_one_by_one, trouble.kill_the_leader, trouble.restart_one_by_one):
            await make()
            await service.ready()
        await asyncio.sleep(3)
        for task in polling:
            task.cancel()
        await asyncio.gather(*polling, return_exceptions=True)
        await asyncio.sleep(2)
        stored = await ids_in(store_url)
    for ids in transcripts:
        assert ids == [each for each in stored if ids[0] <= each <= ids[-1]]
    shortest = min(map(len, transcripts))
    requests = Counter(line.split()[0] for line in log.read_text().splitlines() if line.endswith(" 200"))
    sys.stdout.write(
        f"{CLIENTS} clients got {shortest} prices or more; upstream requests per price: {Counter(requests.values())}\n"
    )
    assert shortest > 10
    assert max(requests.values()) <= AT_MOST


async def ids_in(store_url: str) -> list[int]:
    store = await open_store(store_url, capacity=100_000)
    try:
        return [tick.id for tick in await store.page(0, None, 100_000)]
    finally:
        await store.close()
