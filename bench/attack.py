"""A mixed attack on a server of one core, and what honest clients notice of it.

    python bench/attack.py [--quick]

The server has its default limits and a price a second. 2,000 streams and 20 requests a second are honest; after a calm
time come all kinds of bench/attackers.py at once, from 160 addresses. They and the honest clients share the other core,
the attackers at a lower priority; what the honest clients notice includes what that core does to them.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from machine import LOAD_CPU, SERVER_CPU, Process, free_port, raise_file_limit
from machine import started as started_process
from subjects import HERE, SOURCES, program, running_exchange, source_urls
from table import Figure, section

ATTACKERS = 5  # their nice value: the honest clients' is 0
SETTLE = 15  # seconds after the attack until its last deadline has passed


class Plan(NamedTuple):
    """How much is measured."""

    streams: int
    calm: float  # seconds
    attack: float  # seconds


class Phase(NamedTuple):
    """What honest clients noticed in one phase, and what the server had at its end."""

    name: str
    load: float  # of the machine
    memory: int  # KiB
    noticed: dict[str, float]

    def row(self) -> list[str]:
        names = (
            "prices",
            "lag_p50",
            "lag_p99",
            "lag_max",
            "requests",
            "request_p99",
            "failed",
            "lost",
            "incomplete",
        )
        return [
            self.name,
            *(f"{self.noticed[name]:g}" for name in names),
            f"{self.memory / 1024:.0f}",
            f"{self.load:.1f}",
        ]


FULL = Plan(2000, 30, 60)
QUICK = Plan(1000, 8, 12)


@asynccontextmanager
async def serving(exchange: int) -> AsyncIterator[tuple[Process, int]]:
    port = free_port()
    env = {
        "PORT": str(port),
        "INTERVAL": "1",
        "STORE_URL": "memory://",
        "SOURCES": ",".join(SOURCES),
        "LOG_LEVEL": "error",
        **source_urls(exchange, SOURCES),
    }
    async with started_process([*program(), "serve"], SERVER_CPU, env) as server:
        await asyncio.to_thread(until_ready, port)
        yield server, port


def until_ready(port: int) -> None:
    """Wait for the first price."""
    for _ in range(300):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return
        time.sleep(0.2)
    raise SystemExit("The server does not come up.")


@asynccontextmanager
async def helper(script: str, *words: object, priority: int = 0) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of the load, on its CPU."""
    command = [
        "nice",
        "-n",
        str(priority),
        "taskset",
        "-c",
        str(LOAD_CPU),
        sys.executable,
        str(HERE / script),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, *map(str, words), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(120):
        said: dict[str, Any] = json.loads(await process.stdout.readline())
    return said


async def noticed(honest: asyncio.subprocess.Process) -> dict[str, float]:
    assert honest.stdin is not None
    honest.stdin.write(b"\n")
    return await line(honest)


async def bench(plan: Plan) -> None:
    async with (
        running_exchange() as exchange,
        serving(exchange) as (server, port),
        helper("honest.py", port, plan.streams) as honest,
    ):
        await line(honest)
        await noticed(honest)

        async def phase(name: str, seconds: float) -> Phase:
            await asyncio.sleep(seconds)
            return Phase(name, os.getloadavg()[0], server.memory(), await noticed(honest))

        calm = await phase("calm", plan.calm)
        async with helper("attackers.py", port, priority=ATTACKERS) as attackers:
            attacked = await phase("attack", plan.attack)
            attackers.send_signal(signal.SIGTERM)
            counts = await line(attackers)
        settling = await phase("settling", SETTLE)
        after = await phase("after", plan.calm)
    report([calm, attacked, settling, after], counts)


def report(phases: list[Phase], counts: dict[str, int]) -> None:
    calm, attacked, _, after = phases
    section(
        "Honest clients, times in ms",
        [
            "",
            "prices",
            "lag p50",
            "p99",
            "max",
            "requests",
            "p99",
            "failed",
            "lost",
            "incomplete",
            "MiB",
            "load",
        ],
        [phase.row() for phase in phases],
    )
    section("Attackers", ["what", "times"], [[name, str(count)] for name, count in sorted(counts.items())])
    figures = [
        Figure("p99 lag under attack / calm", attacked.noticed["lag_p99"] / calm.noticed["lag_p99"], 2, ""),
        Figure("honest streams lost", after.noticed["lost"], 0, ""),
        Figure("honest streams that miss a price", sum(each.noticed["incomplete"] for each in phases), 0, ""),
        Figure("memory after / before", after.memory / calm.memory, 1.1, ""),
    ]
    section("Targets", ["", "figure", "target", ""], [figure.row() for figure in figures])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer streams and seconds")
    plan = QUICK if parser.parse_args().quick else FULL
    raise_file_limit()
    print(
        f"Load of the machine before: {os.getloadavg()[0]:.1f}; {Path('/proc/loadavg').read_text().split()[3]} tasks"
    )
    asyncio.run(bench(plan))


if __name__ == "__main__":
    main()
