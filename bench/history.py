"""Benchmarks of the history: `make bench-history`, or `python bench/history.py [--quick]` (a month instead of a year).

The server runs on one CPU, its clients on another. Times are latencies on loopback; the CPU time of the server is more
reliable while the machine is busy. Figures are not tests: the exit code is always 0.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import uvloop

from answers import answers, first_price, until_ready
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.store import open_store
from btc_price_tracker.store.outbox import Outbox
from imports import imported, postgres
from machine import LOAD_CPU, SERVER_CPU, Process, free_port, raise_file_limit, started
from measures import NEVER
from resume import resume
from run import surroundings
from subjects import ours, running_exchange
from table import Figure, section
from year import DAY, STEP, YEAR, with_quotes, write_csv

MISSED = 30 * 60 // STEP  # prices that a resuming client has missed
SAMPLE = 50_000  # ticks with quotes


@dataclass(frozen=True)
class Plan:
    """The size of a run."""

    ticks: int
    clients: int
    appends: int
    requests: int  # per route


FULL = Plan(YEAR, 5000, appends=2000, requests=200)
QUICK = Plan(30 * DAY, 1000, appends=500, requests=50)


class Rate(Figure):
    """A figure with a minimum as its target."""

    def row(self) -> list[str]:
        verdict = "met" if self.value >= self.target else "missed"
        return [self.name, f"{self.value:,.0f} {self.unit}", f"≥ {self.target:,.0f} {self.unit}", verdict]


async def bench(plan: Plan) -> None:
    """Import a file, query it, append to it, and print the figures with their targets."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        last = write_csv(folder / "prices.csv", plan.ticks)
        figures = importing(plan, folder)
        figures += await querying(plan, folder, last)
        figures += await appending(plan, folder)
    section("Targets", ["", "figure", "target", ""], [figure.row() for figure in figures])


def importing(plan: Plan, folder: Path) -> list[Figure]:
    """Import the prices into each database and measure that."""
    into = {"SQLite": imported(folder / "prices.csv", url_of(folder / "prices.db"))}
    with postgres() as url:
        if url is not None:
            into["PostgreSQL"] = imported(folder / "prices.csv", url)
    section(
        f"Importing {plan.ticks:,} prices from CSV",
        ["", "time", "CPU of the command", "a second", "a second of its CPU"],
        [
            [
                name,
                f"{it.seconds:.1f} s",
                f"{it.cpu:.1f} s",
                f"{plan.ticks / it.seconds:,.0f}",
                f"{plan.ticks / it.cpu:,.0f}",
            ]
            for name, it in into.items()
        ],
    )
    least = {"SQLite": 50_000, "PostgreSQL": 20_000}
    figures: list[Figure] = [
        Rate(f"import into {name}", plan.ticks / it.seconds, least[name], "/s") for name, it in into.items()
    ]
    size = (folder / "prices.db").stat().st_size / plan.ticks
    return [*figures, Figure("SQLite file, without quotes", size, 40, "bytes a price")]


async def appending(plan: Plan, folder: Path) -> list[Figure]:
    """Measure how long the tick path waits for the store per price with quotes, and the size of the file."""
    store = await open_store(url_of(folder / "prices.db"), capacity=1)
    outbox = Outbox(store, SystemClock(), size=10)
    waits = []
    for tick in with_quotes(plan.appends, (await store.span()).last + 1):
        begun = time.perf_counter()
        await outbox.keep(tick)
        waits.append((time.perf_counter() - begun) * 1000)
        await asyncio.sleep(0.002)
    await store.close()
    file = folder / "quotes.db"
    sample = await open_store(url_of(file), capacity=1)
    await sample.append(list(with_quotes(SAMPLE, 1)))
    await sample.close()
    centiles = quantiles(waits, n=100)
    print(f"\nAppending: p50 {centiles[49]:.2f} ms, p99 {centiles[98]:.2f} ms, longest {max(waits):.2f} ms")
    return [
        Figure("SQLite file, with quotes", file.stat().st_size / SAMPLE, 250, "bytes a price"),
        Figure("the tick path waits for SQLite, p99", centiles[98], 5, "ms"),
    ]


async def querying(plan: Plan, folder: Path, last: int) -> list[Figure]:
    """Measure the responses of the server."""
    second = last // 1000
    day = f"/prices?since={second - 200_000}&until={second - 200_000 + 86_399}&limit=10000"
    few = plan.requests // 10
    routes = (
        ("/prices/latest", "/prices/latest", plan.requests),
        ("a day of prices", day, few),
        ("a day of prices as CSV", f"{day}&format=csv", few),
        ("every candle of a day", "/prices/candles?interval=1d&limit=10000", few),
        ("a week of candles of an hour", f"/prices/candles?interval=1h&since={second - 604_800}", few),
        ("a day of candles of a minute", f"/prices/candles?interval=1m&since={second - 86_400}", few),
    )
    async with serving(folder) as (server, port):
        got = {name: answers(server, port, path, times) for name, path, times in routes}
        hour = first_price(port, f"/prices/stream?since={second - 3600}", plan.requests)
        week = first_price(port, f"/prices/stream?since={second - 604_800}", plan.requests // 10)
        before = server.cpu()
        back = resume(port, plan.clients, [last - n * STEP * 1000 for n in range(MISSED)][::-1])
        cpu = server.cpu().since(before).total
    section(
        "Responses",
        ["", "median", "CPU of the server", "size"],
        [
            [name, f"{it.milliseconds:.2f} ms", f"{it.cpu:.2f} ms", f"{it.size / 1000:,.1f} kB"]
            for name, it in got.items()
        ],
    )
    print(f"since a week ago, to the first price: {week:.2f} ms")
    print(
        f"{plan.clients} clients resume, {MISSED} prices behind: {back.seconds:.2f} s, {cpu:.2f} s of CPU; "
        f"{back.complete} of them received every price once and in order"
    )
    return [
        Figure("/prices/latest", got["/prices/latest"].milliseconds, 1, "ms"),
        Figure("a day of prices", got["a day of prices"].milliseconds, 60, "ms"),
        Figure("every candle of a day", got["every candle of a day"].milliseconds, 500, "ms"),
        Figure("since an hour ago, to the first price", hour, 10, "ms"),
        Figure(f"{plan.clients} resume, 30 minutes behind", back.seconds, 5 * plan.clients / 5000, "s"),
    ]


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Process, int]]:
    """Run the server on the imported file; it publishes one price at the start and none after."""
    port = free_port()
    async with running_exchange() as exchange:
        command, env = ours(exchange).started_with(port, NEVER)
        env |= {"STORE_URL": url_of(folder / "prices.db"), "RETENTION": "0"}
        with (folder / "server.log").open("wb") as log:
            async with started(command, SERVER_CPU, env, log) as server:
                until_ready(port)
                yield server, port


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a month instead of a year, fewer clients")
    plan = QUICK if parser.parse_args().quick else FULL
    print(surroundings(raise_file_limit()))
    os.sched_setaffinity(0, {LOAD_CPU})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that child processes are stopped
    uvloop.run(bench(plan))


if __name__ == "__main__":
    main()
