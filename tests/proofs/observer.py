"""What the broker itself carries: every tick, the term that published it, and the instance that led it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from btc_price_tracker.broker.opening import open_broker
from btc_price_tracker.broker.options import History, Options
from btc_price_tracker.errors import BrokerUnavailable
from btc_price_tracker.price.model import Update


@dataclass(slots=True)
class Observer:
    """Follows a broker past the instances."""

    url: str
    ids: list[int] = field(default_factory=list)
    terms: list[int] = field(default_factory=list)
    leaders: dict[int, set[str]] = field(default_factory=dict)  # by term

    async def watch(self) -> None:
        """Note all that comes, until cancelled."""
        while True:
            broker = open_broker(self.url, Options("observer", History(100_000, 86_400)))
            try:
                await self._follow(broker.follow(self.ids[-1] if self.ids else 0))
            except BrokerUnavailable:
                await asyncio.sleep(0.1)
            finally:
                await broker.aclose()

    async def _follow(self, updates: AsyncGenerator[Update, None]) -> None:
        async with aclosing(updates) as followed:
            async for update in followed:
                if update.tick is not None:
                    self.ids.append(update.tick.id)
                    self.terms.append(update.term)
                    self.leaders.setdefault(update.term, set()).add(update.leader)

    def check(self) -> None:
        """One publisher at a time: ids and terms go up, and a term has one leader."""
        assert self.ids == sorted(set(self.ids))
        assert self.terms == sorted(self.terms)
        assert [leaders for leaders in self.leaders.values() if len(leaders) > 1] == []
