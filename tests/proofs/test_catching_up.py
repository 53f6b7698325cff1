"""A thousand clients come back at once, each half an hour behind."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from proofs.process import service
from proofs.reader import Reader, request

CLIENTS = 1000  # five thousand in bench/history.py
MISSED = 180  # prices: half an hour of them, one each ten seconds
SEEN = 20


@pytest.mark.parametrize("ring", [1000, 50], ids=["from memory", "from the store"])
async def test_reconnecting_clients_catch_up_without_gap_or_repeat(ring: int, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/prices.db"
    async with service(store_size=ring, store_url=url) as server:
        ids = (await server.ask("publish", SEEN + MISSED, 0))["ids"]
        readers = [
            await Reader.open(server.port, request(last_event_id=ids[SEEN - 1])) for _ in range(CLIENTS)
        ]
        ids += (await server.ask("publish", 20, 0.02))["ids"]
        await caught_up(readers, ids[-1])
        assert all(reader.ids == ids[SEEN:] and not reader.gaps for reader in readers)
        for reader in readers:
            reader.close()


async def caught_up(readers: Sequence[Reader], last: int) -> None:
    async with asyncio.timeout(120):
        for reader in readers:
            while not reader.ids or reader.ids[-1] < last:
                await asyncio.sleep(0.01)
