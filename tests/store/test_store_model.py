"""A model test: local stores behave like a dictionary that records how far it was pruned."""

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Tick
from btc_price_tracker.store import Span, Store, open_store
from btc_price_tracker.store.paging import pages

ids = st.integers(1, 20)  # few, so that they repeat
quotes = st.sampled_from([(), (AssessedQuote(source="kraken", kind=Kind.EXCHANGE, last=Decimal("1.0")),)])
ticks = st.builds(
    lambda tick_id, cents, quotes: Tick(
        tick_id, Decimal(cents).scaleb(-2), Status.OK, 3, Decimal("0.10"), 0, "vote3/1", quotes
    ),
    ids,
    st.integers(1, 10**8),
    quotes,
)


class StoreModel(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.stored: dict[int, Tick] = {}
        self.dropped = 0
        self.memory = self.opened("memory://")
        self.durable = [self.opened(url) for url in self.urls]

    @property
    def urls(self) -> list[str]:
        """The URLs of the durable stores."""
        folder = Path(self.folder.name)
        return [f"sqlite:///{folder}/prices.db", f"memory://{folder}/prices.snapshot"]

    def opened(self, url: str) -> Store:
        return self.runner.run(open_store(url, capacity=1000))

    @property
    def stores(self) -> list[Store]:
        return [self.memory, *self.durable]

    @rule(batch=st.lists(ticks, max_size=8))
    def append(self, batch: list[Tick]) -> None:
        for tick in batch:
            self.stored.setdefault(tick.id, tick)
        for store in self.stores:
            self.runner.run(store.append(batch))

    @rule(before=ids)
    def prune(self, before: int) -> None:
        removed = [tick_id for tick_id in self.stored if tick_id < before]
        for tick_id in removed:
            del self.stored[tick_id]
        self.dropped = max([self.dropped, *removed])
        for store in self.stores:
            assert self.runner.run(store.prune(before)) == len(removed)

    @rule()
    def restart(self) -> None:
        for store in self.durable:
            self.runner.run(store.close())
        self.durable = [self.opened(url) for url in self.urls]

    @rule(tick_id=ids)
    def get(self, tick_id: int) -> None:
        for store in self.stores:
            assert self.runner.run(store.get(tick_id)) == self.stored.get(tick_id)

    @rule(after=ids, until=st.none() | ids, page=st.integers(1, 9))
    def read(self, after: int, until: int | None, page: int) -> None:
        expected = [each for each in sorted(self.stored) if after < each and (until is None or each <= until)]
        for store in self.stores:
            assert self.runner.run(read(store, after, until, page)) == expected

    @invariant()
    def spans_agree(self) -> None:
        first, last = min(self.stored, default=0), max(self.stored, default=0)
        for store in self.stores:
            assert self.runner.run(store.span()) == Span(first, last, self.dropped)

    def teardown(self) -> None:
        for store in self.stores:
            self.runner.run(store.close())
        self.runner.close()
        self.folder.cleanup()


async def read(store: Store, after: int, until: int | None, page: int) -> list[int]:
    return [tick.id async for ticks in pages(store, after, until, page) for tick in ticks]


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
