"""What the tests of the fan-out share."""

from collections.abc import AsyncIterator

import pytest

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.reactor import Reactor


@pytest.fixture
async def reactor(hub: Hub) -> AsyncIterator[Reactor]:
    reactor = Reactor(hub)
    yield reactor
    reactor.close()
