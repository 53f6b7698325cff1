"""Three hundred clients that drop and resume at random while 200 prices a second are published."""

import asyncio
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proofs.process import service
from proofs.reader import Reader, request

CLIENTS = 300
PRICES = 600
PERIOD = 0.005  # seconds between prices
RING = 150  # ticks: three quarters of a second; who is away for longer comes back through the store


@dataclass(frozen=True, slots=True)
class Visit:
    """One connection of a client: how it asked, and what it got."""

    asked: str  # id or time
    after: int
    ids: list[int]

    def expected(self, published: list[int]) -> list[int]:
        """The very prices that this connection must have brought, as many as it got."""
        start = bisect_right(published, self.after)
        return published[start : start + len(self.ids)]


@dataclass(slots=True)
class Wanderer:
    """A client that comes and goes as chance has it."""

    port: int
    chance: random.Random
    start: int  # the second in which the first price was published
    visits: list[Visit] = field(default_factory=list)
    last: int = 0

    async def wander(self, over: asyncio.Event) -> None:
        await asyncio.sleep(self.chance.random())
        while not over.is_set():
            if self.chance.random() < 0.1:  # some go before anything has come
                await self.visit(lambda _: True)
            else:
                await self.visit(lambda reader: reader.ids or over.is_set(), self.chance.uniform(0, 2))
            await asyncio.sleep(self.chance.choice([0, 0.1, 0.5, 1.5]))

    async def catch_up(self, newest: int) -> None:
        await self.visit(lambda reader: max([self.last, *reader.ids]) == newest)

    async def visit(self, content: Callable[[Reader], object], linger: float = 0) -> None:
        """Ask in some way for what has not come yet, stay until content and a while longer, and go in some way."""
        asked, after, wanted = self.question()
        reader = await Reader.open(self.port, wanted)
        async with asyncio.timeout(150):
            while not content(reader):
                await asyncio.sleep(0.02)
        await asyncio.sleep(linger)
        self.chance.choice([reader.close, reader.reset])()
        assert not reader.gaps
        self.visits.append(Visit(asked, after, reader.ids))
        self.last = max([self.last, *reader.ids])

    def question(self) -> tuple[str, int, bytes]:
        """How to ask, the id after which prices are due, and the request."""
        ways = ["header", "query", "since"] if self.last else ["since"]
        since = self.last // 1000 or self.start
        match self.chance.choice(ways):
            case "header":
                return "id", self.last, request(last_event_id=self.last)
            case "query":
                path = f"/prices/stream?last_event_id={self.last}&since={self.start}"
                return "id", self.last, request(path)
        return "time", since * 1000 - 1, request(f"/prices/stream?since={since}")


@pytest.mark.parametrize(
    ("detach", "prices"),
    [(True, PRICES), (False, PRICES // 2)],  # the fallback can't keep up with so many: it takes longer
    ids=["detached", "fallback"],
)
async def test_resuming_clients_get_every_price_exactly_once(
    detach: bool,  # noqa: FBT001 - a parameter of the test
    prices: int,
    tmp_path: Path,
) -> None:
    store = f"sqlite:///{tmp_path}/prices.db"
    async with service(detach=detach, store_size=RING, store_url=store) as server:
        (first,) = (await server.ask("publish", 1, 0))["ids"]
        clients = [Wanderer(server.port, random.Random(seed), first // 1000) for seed in range(CLIENTS)]
        over = asyncio.Event()
        wandering = [asyncio.create_task(client.wander(over)) for client in clients]
        result = await server.ask("publish", prices, PERIOD)
        over.set()
        await asyncio.gather(*wandering)
        published = [first, *result["ids"]]
        await asyncio.gather(*(client.catch_up(published[-1]) for client in clients))
    assert sum(len(client.visits) for client in clients) > 2 * CLIENTS
    for client in clients:
        check(client, published)


def check(client: Wanderer, published: list[int]) -> None:
    """Each connection brought an unbroken run that begins where it asked; together they brought everything."""
    seen: set[int] = set()
    for visit in client.visits:
        assert visit.ids == visit.expected(published)
        if visit.asked == "id":
            assert not seen.intersection(visit.ids)
        seen.update(visit.ids)
    assert sorted(seen) == published[bisect_left(published, client.start * 1000) :]
