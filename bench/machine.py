"""Processes of the benchmark: started on a CPU of their own, measured through /proc, ended by their id."""

import asyncio
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

_CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, LOAD_CPU = _CPUS[0], _CPUS[-1]
TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds


class Cpu(NamedTuple):
    """CPU time so far in seconds; the kernel knows the sum exactly and the user's part to 10 ms."""

    total: float
    user: float

    def since(self, before: "Cpu") -> "Cpu":
        return Cpu(self.total - before.total, self.user - before.user)


class Process:
    """A process and its children."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    @property
    def output(self) -> asyncio.StreamReader:
        assert self._process.stdout is not None
        return self._process.stdout

    def cpu(self) -> Cpu:
        nanoseconds = ticks = 0
        for task in self._tasks():
            nanoseconds += int((task / "schedstat").read_text().split()[0])
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11])
        return Cpu(nanoseconds / 1e9, ticks * TICK)

    def memory(self) -> int:
        """Resident KiB."""
        return sum(_resident(pid) for pid in _tree(self._process.pid))

    def _tasks(self) -> Iterator[Path]:
        for pid in _tree(self._process.pid):
            yield from Path(f"/proc/{pid}/task").iterdir()


@asynccontextmanager
async def started(
    command: Sequence[str | Path],
    cpu: int,
    env: Mapping[str, str] | None = None,
    log: IO[bytes] | None = None,
) -> AsyncIterator[Process]:
    """Run a command, and nothing of it after the context. Its output can be read unless it goes to a log."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **(env or {})},
        stdout=log or asyncio.subprocess.PIPE,
        stderr=log,
    )
    os.sched_setaffinity(process.pid, {cpu})
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def raise_file_limit() -> int:
    """As many open files as this machine lets a process have; children inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _tree(int(child))


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])
