"""The loops of the service outlive what their parts do."""

import asyncio

from structlog.testing import capture_logs

from btc_price_tracker import pipeline
from btc_price_tracker.store import Span
from btc_price_tracker.store.memory import MemoryStore
from btc_price_tracker.testing import ManualClock
from live import a_tick


class Buggy(MemoryStore):
    """A store that can't say what it holds while it has a bug."""

    def __init__(self) -> None:
        super().__init__(10)
        self.bug: Exception | None = KeyError("first")

    async def span(self) -> Span:
        if self.bug:
            raise self.bug
        return await super().span()


async def test_a_bug_in_the_store_keeps_old_prices_until_it_is_gone_and_is_logged_once() -> None:
    clock, store = ManualClock(), Buggy()
    await store.append([a_tick(clock.now() - 10_000), a_tick(clock.now())])
    with capture_logs() as logs:
        forgetting = asyncio.create_task(pipeline.forget(store, clock, retention=5))
        await clock.advance(150)
        bug, store.bug = store.bug, None
        await clock.advance(60)
    assert [entry["exc_info"] for entry in logs] == [bug]
    assert len(store.held()) == 1
    forgetting.cancel()
