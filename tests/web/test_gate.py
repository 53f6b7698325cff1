"""Bounded concurrency, a bounded FIFO queue, a timeout for each turn."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from btc_price_tracker.web.gate import Gate
from btc_price_tracker.web.problems import Problem


class Work:
    """Requests at a gate, each of which works until `end`."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.working: list[int] = []
        self.ended: list[int] = []
        self._ends: dict[int, asyncio.Event] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}

    async def begin(self, *numbers: int) -> None:
        for number in numbers:
            self._ends[number] = asyncio.Event()
            self.tasks[number] = asyncio.create_task(self._run(number))
        await turns()

    async def end(self, *numbers: int) -> None:
        for number in numbers:
            self._ends[number].set()
        await turns()

    async def _run(self, number: int) -> None:
        async with self.gate.admit():
            self.working.append(number)
            await self._ends[number].wait()
        self.ended.append(number)


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def work(request: pytest.FixtureRequest) -> AsyncIterator[Work]:
    work = Work(Gate(at_once=2, max_waiting=3, timeout=getattr(request, "param", 60)))
    yield work
    for task in work.tasks.values():
        task.cancel()
    await asyncio.gather(*work.tasks.values(), return_exceptions=True)


async def test_turns_are_bounded_and_fifo(work: Work) -> None:
    await work.begin(1, 2, 3, 4, 5)
    assert (work.working, work.gate.waiting) == ([1, 2], 3)
    await work.end(2)
    assert work.working == [1, 2, 3]
    await work.end(1, 3)
    assert work.working == [1, 2, 3, 4, 5]
    await work.end(4, 5)
    assert work.ended == [2, 1, 3, 4, 5]
    assert work.gate.waiting == 0


async def test_full_queue_is_503_with_retry_after(work: Work) -> None:
    await work.begin(1, 2, 3, 4, 5, 6)
    problem = work.tasks[6].exception()
    assert isinstance(problem, Problem)
    assert problem.status == 503
    assert problem.headers is not None
    assert 1 <= int(problem.headers["Retry-After"]) <= 5
    assert work.gate.refused == 1
    await work.end(1)
    await work.begin(7)
    assert not work.tasks[7].done()


async def test_next_turn_of_an_admitted_request_is_never_refused(work: Work) -> None:
    await work.begin(1, 2, 3, 4, 5)

    async def next_page() -> None:
        async with work.gate.turn():
            work.working.append(0)

    page = asyncio.create_task(next_page())
    await turns()
    assert not page.done()
    await work.end(1, 2, 3, 4, 5)
    await page
    assert work.working[-1] == 0


async def test_cancellation_frees_the_turn_and_the_place_in_the_queue(work: Work) -> None:
    await work.begin(1, 2, 3, 4, 5)
    for number in (1, 3):
        work.tasks[number].cancel()
    await turns()
    assert (work.working, work.gate.waiting) == ([1, 2, 4], 1)


@pytest.mark.parametrize("work", [0.02], indirect=True)
async def test_turn_times_out(work: Work) -> None:
    await work.begin(1, 2, 3)
    await asyncio.wait(work.tasks.values())
    for task in work.tasks.values():  # those that worked, and the one that waited
        assert isinstance(task.exception(), Problem)
        assert "did not respond within 0.02 s" in str(task.exception())
    await work.begin(4)
    assert work.working[-1] == 4


async def test_timeout_error_of_the_work_passes(work: Work) -> None:
    with pytest.raises(TimeoutError):
        async with work.gate.admit():
            raise TimeoutError
