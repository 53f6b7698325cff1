"""Waiting for the next price."""

import asyncio
from itertools import pairwise

from btc_price_tracker.fanout.arrivals import SLICE, Arrivals


async def test_many_waiting_clients_do_not_block_the_event_loop() -> None:
    arrivals, woken = Arrivals(), list[int]()

    async def wait(number: int) -> None:
        await arrivals.wait()
        woken.append(number)

    tasks = [asyncio.create_task(wait(number)) for number in range(1000)]
    await asyncio.sleep(0)
    tasks[500].cancel()
    arrivals.announce()
    steps = [0]
    while len(woken) < 999:
        await asyncio.sleep(0)
        steps.append(len(woken))
    assert woken == [number for number in range(1000) if number != 500]
    assert max(after - before for before, after in pairwise(steps)) <= 2 * SLICE
    assert len(arrivals) == 0
    await asyncio.gather(*tasks, return_exceptions=True)
