"""What is measured, one function each."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

from machine import LOAD_CPU, SERVER_CPU, Process, free_port, started
from subjects import HERE, Subject, program

NEVER = 3600  # seconds between prices where none is wanted
PATIENCE = 120.0  # seconds for a server to come up, for streams to open, for a broadcast to arrive


class Failed(Exception):
    """A measure that could not be taken, and why."""


@dataclass(frozen=True)
class FanOut:
    """One price a second to many streams; the CPU time is that of the whole server process tree."""

    microseconds: float  # of CPU per delivered event
    user: float  # of these
    spread: float  # ms from the first client to the last, as the load client sees it
    complete: bool  # whether every stream got every price


@dataclass(frozen=True)
class Crowd:
    """Many streams that open and are idle."""

    kib: float  # of resident memory per stream
    connect: float  # µs of CPU per stream that opens
    first_price: float  # ms (median) until one more client has its first event; NaN if that wasn't asked


@dataclass(frozen=True)
class AtRest:
    """No client at all, default settings."""

    ready: float  # seconds from the start of the process to 200 on /healthz
    help: float  # seconds that `--help` takes
    idle: float  # share of a CPU
    mib: float  # of resident memory


async def fan_out(subject: Subject, streams: int, seconds: float) -> FanOut:
    """Count from the end of one broadcast to the end of another, so that exactly what is paid for is counted."""
    async with _serving(subject, interval=1) as (server, port), _load(subject, port, streams) as load:
        await _line(load)
        started_at, before = time.monotonic(), server.cpu()
        spreads, counts = [], []
        while time.monotonic() - started_at < seconds:
            line = await _line(load)
            cpu = server.cpu().since(before)
            spreads.append(line["spread"])
            counts.append(line["events"])
    events = sum(counts)
    return FanOut(
        microseconds=cpu.total / events * 1e6,
        user=cpu.user / events * 1e6,
        spread=median(spreads),
        complete=min(counts) == streams and not line["lost"],
    )


async def crowd(subject: Subject, streams: int, newcomers: int = 0) -> Crowd:
    async with _serving(subject, interval=NEVER) as (server, port):
        memory, cpu = server.memory(), server.cpu()
        async with _load(subject, port, streams):
            await asyncio.sleep(0.5)
            memory, cpu = server.memory() - memory, server.cpu().since(cpu)
            waits = [await _first_price(subject, port) for _ in range(newcomers)]
    return Crowd(
        kib=memory / streams,
        connect=cpu.total / streams * 1e6,
        first_price=median(waits) * 1000 if waits else float("nan"),
    )


async def cost_of_a_price(subject: Subject, seconds: float) -> float:
    """Milliseconds of CPU that a price takes where nobody listens."""
    async with _serving(subject, interval=1) as (server, _):
        await asyncio.sleep(2)
        before = server.cpu()
        await asyncio.sleep(seconds)
        return server.cpu().since(before).total / seconds * 1000


async def at_rest(subject: Subject, seconds: float, starts: int) -> AtRest:
    ready = [await _time_to_ready(subject) for _ in range(starts)]
    helps = [await _time_of_help() for _ in range(2 * starts)]
    async with _serving(subject, interval=10) as (server, _):
        await asyncio.sleep(2)
        before = server.cpu()
        await asyncio.sleep(seconds)
        idle = server.cpu().since(before).total / seconds
        return AtRest(median(ready), median(helps), idle, server.memory() / 1024)


async def _time_to_ready(subject: Subject) -> float:
    begun = time.monotonic()
    async with _serving(subject, interval=10, settle=0) as (_, port):
        if not await _is_healthy(port):
            raise Failed("it listens, but its /healthz is not 200")
        return time.monotonic() - begun


async def _time_of_help() -> float:
    begun = time.monotonic()
    async with started([*program(), "--help"], SERVER_CPU) as process:
        await process.output.read()
        return time.monotonic() - begun


async def _is_healthy(port: int) -> bool:
    """Whether it answers 200; a request that arrives early waits in the backlog."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.startswith(b"HTTP/1.1 200 ")


async def _first_price(subject: Subject, port: int) -> float:
    """Seconds from the SYN to the first event."""
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {subject.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE):
        await reader.readuntil(b"data:")
    waited = time.monotonic() - begun
    writer.transport.abort()
    return waited


@asynccontextmanager
async def _serving(
    subject: Subject, interval: int, settle: float = 1.5
) -> AsyncIterator[tuple[Process, int]]:
    """The server, accepting connections, and its port; `settle` gives it time for its first price."""
    port = free_port()
    command, env = subject.started_with(port, interval)
    with tempfile.TemporaryFile() as log:
        async with started(command, SERVER_CPU, env, log) as server:
            try:
                await _come_up(server, port)
                await asyncio.sleep(settle)
                yield server, port
            except Failed as failure:
                log.seek(0)
                said = log.read().decode(errors="replace").strip()
                raise Failed(f"{subject.name}: {failure}; it said: {said[-500:]}") from None


async def _come_up(server: Process, port: int) -> None:
    until = time.monotonic() + PATIENCE
    while not await _accepts(port):
        if not server.running or time.monotonic() > until:
            raise Failed("it does not come up")
        await asyncio.sleep(0.005)


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@asynccontextmanager
async def _load(subject: Subject, port: int, streams: int) -> AsyncIterator[Process]:
    """The load client, with all streams open."""
    command = [
        sys.executable,
        str(HERE / "load.py"),
        str(port),
        str(streams),
        subject.path,
        *(["tls"] if subject.tls else []),
    ]
    async with started(command, LOAD_CPU) as load:
        await _line(load)
        yield load


async def _line(load: Process) -> dict[str, float]:
    try:
        async with asyncio.timeout(PATIENCE):
            return dict(json.loads(await load.output.readline()))
    except (TimeoutError, ValueError):
        raise Failed("the load client gave up, or nothing arrived") from None
