"""A new leader, as far as the contracts and the simulation don't show it."""

from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from broker.updates import START, sequence
from btc_price_tracker.broker import Broker, Term
from btc_price_tracker.broker.alone import Alone
from btc_price_tracker.broker.link import Link
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.errors import StoreError
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.model import Update
from btc_price_tracker.store import Span
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.succession import Candidate

SIZE = 200  # ticks that the outbox holds


class FailingStore(MemoryStore):
    """One that can be out of order."""

    fails = True

    async def append(self, ticks: Any) -> int:
        if self.fails:
            raise StoreError("out of order")
        return await super().append(ticks)

    async def span(self) -> Span:
        if self.fails:
            raise StoreError("out of order")
        return await super().span()


async def test_what_a_failing_store_probably_has_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker may hold more than the outbox: nearly all of it was stored before the store failed."""
    monkeypatch.setattr("btc_price_tracker.succession.OFFERED", 10 * (SIZE // 2))
    updates = sequence(5 * SIZE)
    ticks = [update.tick for update in updates if update.tick]
    clock, store = SystemClock(), FailingStore(10 * SIZE)

    class Holding:
        async def follow(self, after: int) -> AsyncGenerator[Update, None]:
            for update in updates:
                if update.tick and update.tick.id > after:
                    yield update

    outbox, hub, link = Outbox(store, clock, SIZE), Hub(Ring(10), clock, 15), Link(clock)
    candidate = Candidate(cast("Broker", Holding()), link, Alone(hub.publish, 10), hub, store, outbox)
    term = cast("Term", SimpleNamespace(last=ticks[-1].id, number=1))
    for _ in range(2):  # a second term offers nothing twice
        await candidate.succeed(term)
    assert (outbox.lost, len(outbox)) == (0, SIZE // 2)
    store.fails = False
    assert await outbox.keep(ticks[-1]) is not None
    await outbox.close()
    assert [tick.id for tick in await store.page(START - 1, ticks[-1].id, 10 * SIZE)] == [
        tick.id for tick in ticks[-SIZE // 2 :]
    ]
