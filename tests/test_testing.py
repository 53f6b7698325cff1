import asyncio

import pytest

from btc_price_tracker.clock import Clock
from btc_price_tracker.testing import LeapingClock, ManualClock, eventually


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(now=1_000_000)


async def beat(clock: Clock, seconds: float, heard: list[float]) -> None:
    while True:
        await clock.sleep(seconds)
        heard.append(clock.monotonic())


async def test_time_stands_still_until_it_is_advanced(clock: ManualClock) -> None:
    await asyncio.sleep(0.01)
    assert (clock.now(), clock.monotonic()) == (1_000_000, 0)
    await clock.advance(1.5)
    assert (clock.now(), clock.monotonic()) == (1_001_500, 1.5)


async def test_a_sleeper_wakes_at_its_deadline_and_not_before(clock: ManualClock) -> None:
    sleeper = asyncio.create_task(clock.sleep(10))
    await clock.advance(9.999)
    assert not sleeper.done()
    await clock.advance(0.001)
    assert sleeper.done()


async def test_a_loop_wakes_once_for_every_period_at_its_own_moment(clock: ManualClock) -> None:
    heard: list[float] = []
    loop = asyncio.create_task(beat(clock, 0.1, heard))
    await clock.advance(0.3)
    loop.cancel()
    assert heard == [0.1, 0.2, 0.3]


async def test_sleepers_wake_in_the_order_of_their_deadlines(clock: ManualClock) -> None:
    heard: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        heard.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name, seconds in (("late", 3), ("early", 1), ("early too", 1), ("middle", 2)):
            tasks.create_task(sleeper(name, seconds))
        await clock.advance(5)
    assert heard == ["early", "early too", "middle", "late"]


async def test_a_sleep_of_no_time_returns_without_an_advance(clock: ManualClock) -> None:
    await clock.sleep(0)
    await clock.sleep(-1)


async def test_a_sleeper_that_was_cancelled_disturbs_nobody(clock: ManualClock) -> None:
    cancelled, other = (asyncio.create_task(clock.sleep(seconds)) for seconds in (1, 2))
    await clock.sleeping(2)
    cancelled.cancel()
    await clock.advance(2)
    assert cancelled.cancelled()
    assert other.done()


async def test_a_step_moves_wall_time_alone_and_wakes_nobody(clock: ManualClock) -> None:
    sleeper = asyncio.create_task(clock.sleep(1))
    await clock.sleeping()
    clock.step(-3600)
    await asyncio.sleep(0)
    assert (clock.now(), clock.monotonic(), sleeper.done()) == (1_000_000 - 3_600_000, 0, False)
    sleeper.cancel()


async def test_sleeping_waits_for_tasks_that_are_still_on_their_way(clock: ManualClock) -> None:
    async def sleeper() -> None:
        await asyncio.sleep(0.01)  # an errand that takes real time
        await clock.sleep(1)

    tasks = [asyncio.create_task(sleeper()) for _ in range(2)]
    async with asyncio.timeout(30):
        await clock.sleeping(2)
    await clock.advance(1)
    assert all(task.done() for task in tasks)


async def test_eventually_waits_for_the_condition_and_gives_up_at_its_limit() -> None:
    moments = iter([False, False, True])
    await eventually(lambda: next(moments))
    with pytest.raises(TimeoutError):
        await eventually(lambda: False, seconds=0.01)


async def test_a_leaping_clock_goes_on_at_once_and_never_back() -> None:
    clock = LeapingClock(now=1_000_000)
    await clock.sleep(86_400)
    await clock.sleep(-1)
    assert (clock.now(), clock.monotonic()) == (87_400_000, 86_400)


async def test_sleepers_on_a_leaping_clock_let_each_other_work() -> None:
    clock, heard = LeapingClock(), list[float]()
    async with asyncio.timeout(30):
        beating = asyncio.create_task(beat(clock, 10, heard))
        while len(heard) < 3:
            await clock.sleep(0)
    beating.cancel()
    assert heard == [10, 20, 30]
