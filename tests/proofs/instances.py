"""Several instances of `serve` on one broker and one store."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2

from btc_price_tracker.clock import SystemClock
from btc_price_tracker.playback import Playback, Ticker
from command import environment_of
from ports import free_port

SOURCES = ("coinbase", "kraken", "bitstamp")
PROGRAM = ("-m", "btc_price_tracker")


class Steady:
    """A market whose price rises by a cent each 10 ms."""

    def ticker(self, _name: str, now: int) -> Ticker | None:
        price = Decimal(50_000) + Decimal(now % 10_000_000 // 10) / 100
        return Ticker(price, price - 1, price + 1, now)


@dataclass(slots=True)
class Instance:
    """One process."""

    port: int
    environment: dict[str, str]
    log: Path
    program: Sequence[str] = PROGRAM
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, "serve", "--port", str(self.port)],
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def end(self, number: int) -> None:
        """Send a signal that ends it, and wait for that."""
        assert self.process is not None
        self.signal(number)
        await asyncio.to_thread(self.process.wait)

    async def get(self, path: str) -> Any:
        """The JSON of a response; None where the instance doesn't respond."""
        try:
            async with httpx2.AsyncClient(trust_env=False, timeout=3) as client:
                return (await client.get(f"http://127.0.0.1:{self.port}{path}")).json()
        except (httpx2.HTTPError, ValueError):
            return None

    async def is_ready(self) -> bool:
        answer = await self.get("/readyz")
        return bool(answer and answer["ready"])


@dataclass(slots=True)
class Fleet:
    """The instances of one service, and the stand-in exchanges that they poll."""

    instances: list[Instance]
    playback: Playback
    sources: Sequence[str]

    @property
    def ports(self) -> list[int]:
        return [each.port for each in self.instances]

    async def ready(self, seconds: float = 90) -> None:
        """Wait until every instance is ready: patiently, since other proofs may run beside."""
        async with asyncio.timeout(seconds):
            for each in self.instances:
                while not await each.is_ready():
                    await asyncio.sleep(0.1)

    async def leader(self) -> Instance:
        """The instance that made the last round, by what another one or itself says."""
        async with asyncio.timeout(30):
            while True:
                for each in self.instances:
                    answer = await each.get("/sources")
                    if answer and answer["broker"]["leader"] and answer["broker"]["term"]:
                        port = int(answer["broker"]["leader"].split(":")[-2])
                        return next(other for other in self.instances if other.port == port)
                await asyncio.sleep(0.1)

    async def next_price(self, besides: Instance) -> float:
        """Seconds until another instance has a new price."""
        loop = asyncio.get_running_loop()
        started, watched = loop.time(), next(each for each in self.instances if each is not besides)
        last = (await watched.get("/prices/latest") or {}).get("id", 0)
        async with asyncio.timeout(60):
            while (await watched.get("/prices/latest") or {}).get("id", 0) <= last:
                await asyncio.sleep(0.05)
        return loop.time() - started


@asynccontextmanager
async def fleet(
    broker_urls: Sequence[str],
    store_url: str,
    folder: Path,
    *,
    sources: Sequence[str] = SOURCES,
    program: Sequence[str] = PROGRAM,
    **settings: str,
) -> AsyncIterator[Fleet]:
    """Start an instance for each way to the broker; they poll stand-in exchanges each second. End them at the end."""
    async with Playback(Steady(), SystemClock()) as playback:
        environment = environment_of(
            STORE_URL=store_url,
            INTERVAL="1",
            HEARTBEAT="1",
            SOURCES=",".join(sources),
            LOG_FORMAT="json",
            **{f"{name.upper()}_URL": playback.url(name) for name in sources},
            **settings,
        )
        instances = [
            Instance(
                free_port(), {**environment, "BROKER_URL": url}, folder / f"instance{number}.log", program
            )
            for number, url in enumerate(broker_urls)
        ]
        try:
            for each in instances:
                each.start()
            yield Fleet(instances, playback, sources)
        finally:
            for each in instances:
                if each.process is not None and each.process.poll() is None:
                    each.process.send_signal(signal.SIGCONT)
                    each.process.kill()
                    each.process.wait()


def rounds() -> int:
    """How often the troubles are repeated: once in CI, more with ROUNDS."""
    return int(os.environ.get("ROUNDS", "1"))


def clients() -> int:
    """How many read the streams: some in CI, more with CLIENTS."""
    return int(os.environ.get("CLIENTS", "240"))
