"""A process that runs out of file descriptors keeps the streams that it has, and recovers."""

import asyncio
import contextlib

import pytest

from btc_price_tracker.testing import eventually
from proofs.process import Service, service
from proofs.reader import Reader

FILES = 120  # that the server may have open
INSIDE = 30  # streams that come first
CROWD = 200  # that come on top


async def crowd(port: int) -> list[Reader]:
    """Connections whose server may have no descriptor for them: some get no answer yet, some are cut off."""
    readers = []
    for _ in range(CROWD):
        with contextlib.suppress(OSError):
            readers.append(await Reader.open(port))
    return readers


async def all_get_a_price(readers: list[Reader]) -> None:
    had = [len(reader.ids) for reader in readers]
    await eventually(
        lambda: all(len(reader.ids) > before for reader, before in zip(readers, had, strict=True)), seconds=60
    )


async def has_room_again(server: Service) -> None:
    """A newcomer is served before long; the first may still be cut off by what the crowd left to be closed."""
    await eventually_streams(server, INSIDE)
    async with asyncio.timeout(90):
        while not await is_served(server.port):
            pass


async def is_served(port: int) -> bool:
    with contextlib.suppress(OSError, EOFError, TimeoutError):
        newcomer = await Reader.open(port)
        try:
            await eventually(lambda: newcomer.ids or newcomer.gone.is_set(), seconds=15)
            return bool(newcomer.ids)
        finally:
            newcomer.close()
    return False


async def eventually_streams(server: Service, number: int) -> None:
    async with asyncio.timeout(60):
        while (await server.ask("census"))["streams"] != number:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("detach", [True, False], ids=["detached", "fallback"])
async def test_out_of_descriptors_open_streams_continue_and_new_ones_wait(detach: bool) -> None:  # noqa: FBT001
    async with service(files=FILES, detach=detach, endless=0.02, max_clients=0) as server:
        inside = [await Reader.open(server.port) for _ in range(INSIDE)]
        await eventually(lambda: all(reader.ids for reader in inside))
        outside = await crowd(server.port)
        for _ in range(3):
            await all_get_a_price(inside)
        await eventually(lambda: any(reader.ids for reader in outside), seconds=60)
        assert not any(reader.gone.is_set() for reader in inside)
        served = [reader for reader in outside if reader.ids]
        assert len(served) <= FILES - INSIDE
        for reader in outside:
            reader.close()
        await has_room_again(server)
        await all_get_a_price(inside)
        for reader in inside:
            assert reader.ids == sorted(set(reader.ids))
            reader.close()
