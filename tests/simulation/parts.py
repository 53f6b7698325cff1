"""The clock, the sources and the store of an instance, simulated."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Answer, Kind, Quote, SourceState, Tick
from btc_price_tracker.store import Span
from btc_price_tracker.store.memory import MemoryStore

T = TypeVar("T")
START = 1_764_000_000_000  # ms
EXCHANGES = ("kraken", "coinbase", "bitstamp")


@dataclass(slots=True)
class SimulatedClock:
    """Monotonic time is that of the loop, for all; wall time is each instance's own."""

    offset: int = 0  # ms

    def now(self) -> int:
        return START + round(asyncio.get_running_loop().time() * 1000) + self.offset

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0))


@dataclass(slots=True)
class SimulatedPoller:
    """Every exchange answers after a moment, with a price that differs from second to second."""

    clock: SimulatedClock
    random: random.Random

    async def poll(self) -> list[Answer]:
        await self.clock.sleep(self.random.uniform(0.05, 0.4))
        now, middle = self.clock.now(), Decimal(9_000_000 + self.random.randrange(1000)) / 100
        quote = Quote(middle, middle - 1, middle + 1)
        return [Answer(name, Kind.EXCHANGE, quote=quote, received_at=now) for name in EXCHANGES]

    def states(self) -> list[SourceState]:
        return []


@dataclass(slots=True)
class Database:
    """What all instances share, and its faults."""

    random: random.Random
    is_published: Callable[[Tick], bool]
    ticks: MemoryStore = field(default_factory=lambda: MemoryStore(1_000_000))
    fails: bool = False
    latency: float = 0.002
    violations: list[str] = field(default_factory=list)

    def held(self) -> dict[int, Tick]:
        return {tick.id: tick for tick in self.ticks.held()}


class SimulatedStore:
    """One instance's connection to the database; see Store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, ticks: list[Tick]) -> int:
        self._check(ticks)
        return await self._do(self._database.ticks.append(ticks))

    async def span(self) -> Span:
        return await self._do(self._database.ticks.span())

    async def get(self, tick_id: int) -> Tick | None:
        return await self._do(self._database.ticks.get(tick_id))

    async def newest(self, limit: int) -> list[Tick]:
        return await self._do(self._database.ticks.newest(limit))

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        return await self._do(self._database.ticks.page(after, until, limit))

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        return await self._do(self._database.ticks.page_with_quotes(after, until, limit))

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        return await self._do(self._database.ticks.ids(after, until, skip, limit))

    async def candles(self, *_: int) -> Any:
        raise NotImplementedError

    async def prune(self, before: int) -> int:
        return await self._do(self._database.ticks.prune(before))

    async def describe(self) -> str:
        return "simulated"

    async def close(self) -> None:
        return

    async def _do(self, operation: Coroutine[Any, Any, T]) -> T:
        database = self._database
        try:
            await asyncio.sleep(database.latency)
            if database.fails and database.random.random() < 0.7:
                raise StoreError("connection refused")
            result = await operation
            await asyncio.sleep(database.latency)
            if database.fails:
                raise StoreError("connection lost")  # after it took effect
            return result
        finally:
            operation.close()

    def _check(self, ticks: list[Tick]) -> None:
        unpublished = [tick.id for tick in ticks if not self._database.is_published(tick)]
        if unpublished:
            self._database.violations.append(f"stored but never published: {unpublished}")
