"""What it costs, measured beside its rivals: `make bench`, or `.venv/bin/python bench/run.py [--quick]`.

The server runs on one CPU, the load on another. Three servers take turns on the same streams: a C program that does the
least possible (floor.c), ours with everything it has, and the usual Python way (rival_sse_starlette.py). Trust the
ratios of one run more than absolute figures: the same work takes twice the CPU time while the machine is busy.
Figures are no tests: the exit code is 0 whatever they are.
"""

import argparse
import asyncio
import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from counting import counting
from machine import LOAD_CPU, SERVER_CPU, raise_file_limit
from measures import Failed
from parts import Plan, Subjects, crowds, delivery, flatness, rest
from subjects import HERE, floor, ours, ours_by_default, rival, running_exchange
from table import Figure, section

RESERVE = 1000  # descriptors that a process needs besides its streams
BUSY = 0.7  # load average above which others disturb the measure

FULL = Plan(10_000, 4000, (1000, 5000, 15_000), rounds=5, seconds=6, idle=20, starts=3, limit=900)
QUICK = Plan(4000, 2000, (1000, 4000), rounds=1, seconds=3, idle=4, starts=1, limit=85)


async def bench(plan: Plan) -> None:
    """Take every measure there is time for, then set the figures beside their targets."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            async with asyncio.timeout(plan.limit), running_exchange() as exchange:
                subjects = prepared(exchange, Path(folder))
                for part in (delivery, counting, crowds, rest, flatness):
                    try:
                        figures += await part(plan, subjects)
                    except Failed as failure:
                        print(f"\n{part.__name__} is left out: {failure}")
        except TimeoutError:
            print(f"\n{plan.limit:.0f} s are up; the rest is left out.")
    section("Targets", ["", "figure", "target", ""], [figure.row() for figure in figures])


def prepared(exchange: int, folder: Path) -> Subjects:
    binary = folder / "floor"
    subprocess.run(["cc", "-O2", "-o", binary, HERE / "floor.c"], check=True)
    return Subjects(floor(binary), ours(exchange), rival(), ours_by_default(exchange, folder))


def surroundings(files: int) -> str:
    load = os.getloadavg()[0]
    busy = f"\nThe machine is busy (load {load:.1f}): absolute figures are too high." if load > BUSY else ""
    return (
        f"Linux {platform.release()}, {os.cpu_count()} CPUs (server on {SERVER_CPU}, load on {LOAD_CPU}), "
        f"Python {platform.python_version()}, {files} files per process.{busy}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer streams, one round: under 90 seconds")
    plan = QUICK if parser.parse_args().quick else FULL
    files = raise_file_limit()
    print(surroundings(files))
    if files < max(plan.streams, *plan.sizes) + RESERVE:
        print("A process may not open enough files here; raise `ulimit -n`.")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what we started is ended
    asyncio.run(bench(plan))


if __name__ == "__main__":
    main()
