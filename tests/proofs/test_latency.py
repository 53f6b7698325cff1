"""What an instance adds between the publication of a price and its clients' sockets."""

import asyncio
import statistics
import sys
import time

from broker import valkey
from live import Client, live

CLIENTS, PRICES = 100, 100
LIMIT = 5.0  # ms, median
SLOW = 4  # times as long on a busy machine


async def test_price_takes_5_ms_through_a_local_broker() -> None:
    """From before the publication to the last byte in the client, in one process that is all of them."""
    with valkey.running() as server:
        async with live(broker_url=server.new_url()) as service:
            clients = [await Client.get(service.port, "/prices/stream") for _ in range(CLIENTS)]
            delays = []
            for _ in range(PRICES):
                arriving = [asyncio.create_task(_arrival(client)) for client in clients]
                await asyncio.sleep(0.01)
                started = time.perf_counter()
                await service.publish()
                delays += [(arrived - started) * 1000 for arrived in await asyncio.gather(*arriving)]
            for client in clients:
                client.close()
    median = statistics.median(delays)
    worst = statistics.quantiles(delays, n=100)[-1]
    sys.stdout.write(f"median {median:.2f} ms, p99 {worst:.2f} ms\n")
    assert median < LIMIT * SLOW


async def _arrival(client: Client) -> float:
    await client.prices(1)
    return time.perf_counter()
