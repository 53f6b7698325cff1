"""Disconnecting, whatever happens to the task that does so."""

import asyncio

from btc_price_tracker.broker.cancellation import finish


async def test_client_stops_although_the_caller_is_cancelled() -> None:
    released, stopped = asyncio.Event(), asyncio.Event()

    async def stop() -> None:
        await released.wait()
        stopped.set()

    caller = asyncio.create_task(finish(stop(), 30))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    released.set()
    async with asyncio.timeout(30):
        await stopped.wait()


async def test_limit_holds_although_the_caller_is_cancelled() -> None:
    ended = asyncio.Event()

    async def stop() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    caller = asyncio.create_task(finish(stop(), 0.01))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    async with asyncio.timeout(30):
        await ended.wait()


async def test_client_that_does_not_stop_in_time_is_given_up() -> None:
    assert not await finish(asyncio.sleep(60), 0.01)


async def test_client_that_fails_to_stop_has_stopped() -> None:
    async def stop() -> None:
        raise OSError("the connection has failed already")

    assert await finish(stop(), 30)
