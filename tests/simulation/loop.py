"""An event loop in simulated time, on which whole processes can be suspended and killed.

It waits for nothing outside: when no callback is ready, time leaps to the next timer. Every callback belongs to the
process in whose context it was scheduled. While that one is suspended its callbacks are withheld, as by SIGSTOP, and
time goes on for the others; those of a killed one never run, no `finally` of it either.
"""

import asyncio
import heapq
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, ContextVar
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")


class Process:
    """What can be suspended and killed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_suspended = False
        self.is_dead = False
        self.withheld: list[asyncio.Handle] = []


PROCESS: ContextVar[Process | None] = ContextVar("PROCESS", default=None)


_Base: Any = asyncio.AbstractEventLoop  # of which only a part is needed


class SimulatedLoop(_Base):  # type: ignore[misc]
    """The part of an event loop that the pipeline needs. Deterministic: callbacks run in the order of scheduling."""

    def __init__(self) -> None:
        self._now = 0.0
        self._order = count()
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._closed = False
        self._processes: list[Process] = []
        self.errors: list[dict[str, Any]] = []  # exceptions that nobody has retrieved

    # What asyncio calls

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = _TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        if len(self._tasks) % 1000 == 0:
            self._tasks = [each for each in self._tasks if not each.done()]
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._closed

    def is_closed(self) -> bool:
        return self._closed

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave it in the heap: it is passed over when it is due."""

    # Processes

    def process(self, name: str) -> Process:
        """Return a new one."""
        process = Process(name)
        self._processes.append(process)
        return process

    def suspend(self, process: Process) -> None:
        process.is_suspended = True

    def resume(self, process: Process) -> None:
        """Let a process go on with all that it has missed."""
        process.is_suspended = False
        self._ready.extend(process.withheld)
        process.withheld.clear()

    # Running

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` is done."""
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=None, finalizer=self._finalize)
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main)
            while not task.done():
                self._step()
            return task.result()
        finally:
            asyncio._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def close(self) -> None:
        """Cancel whatever is left, also of killed processes, so that nothing is left to the garbage collector."""

        async def cancel() -> None:
            while tasks := [
                task for task in self._tasks if not task.done() and task is not asyncio.current_task()
            ]:
                for task in (
                    tasks
                ):  # more than once: one that awaits a hand-over in a `finally` goes on after the first
                    task.cancel()
                await asyncio.wait(tasks, timeout=5)

        for process in self._processes:
            process.is_dead = False
            self.resume(process)
        if any(not task.done() for task in self._tasks):
            self.run(cancel())
        self._closed = True

    def _step(self) -> None:
        timers, ready = self._timers, self._ready
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not ready:
            if not timers:
                raise RuntimeError("nothing will ever happen again")
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle.cancelled():
                continue
            process = handle.process  # type: ignore[attr-defined]
            if process is None:
                handle._run()
            elif process.is_suspended or process.is_dead:
                process.withheld.append(handle)
            else:
                handle._run()

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        self.call_soon(self.create_task, generator.aclose())


class _Handle(asyncio.Handle):
    __slots__ = ("process",)

    def __init__(
        self,
        callback: Callable[..., Any],
        args: Any,
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        super().__init__(callback, args, loop, context)
        self.process: Process | None = self._context.get(PROCESS)  # type: ignore[attr-defined]


class _TimerHandle(asyncio.TimerHandle):
    __slots__ = ("process",)

    def __init__(
        self,
        when: float,
        callback: Callable[..., Any],
        args: Any,
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self.process: Process | None = self._context.get(PROCESS)  # type: ignore[attr-defined]
